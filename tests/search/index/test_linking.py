"""The choice of links against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")
from commonspace.search.index import linking


def naive_prune(X, row, candidates, alpha, least, degree):
    far = lambda a, b: float(np.square(X[a].astype(float) - X[b]).sum())  # noqa: E731
    near = sorted({int(u) for u in candidates if u >= 0 and u != row}, key=lambda u: (far(row, u), u))
    kept = []
    for u in near:
        if len(kept) < degree and not any(alpha * far(w, u) <= far(row, u) for w in kept):
            kept.append(u)
    for u in near:
        if len(kept) < min(least, degree) and u not in kept:
            kept.append(u)
    return kept


@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 40), c=st.integers(1, 30), degree=st.integers(1, 12),
    least=st.integers(0, 6),
)  # fmt: skip
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pruning_keeps_what_no_nearer_link_makes_superfluous(seed, n, c, degree, least):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (n, 3)).astype(np.float32)  # with rows that are the same, and exact distances
    candidates = rng.integers(-1, n, (n // 2, c)).astype(np.int32)
    links = np.empty((n // 2, degree), np.int32)
    linking.prune(X, 1, candidates, 1.25, least, links)
    for i, made in enumerate(links):
        assert [u for u in made if u >= 0] == naive_prune(X, i + 1, candidates[i], 1.25, least, degree)
        assert (np.diff(made < 0) >= 0).all()


def test_links_are_turned_the_best_ranked_first():
    links = np.array([[1, 2], [2, 0], [1, -1]], np.int32)
    out = np.empty((3, 2), np.int32)
    linking.turned(links, out)
    assert out.tolist() == [[1, -1], [0, 2], [1, 0]]


def test_the_best_rows_of_a_query_are_paired_with_its_others():
    tops = np.array([[0, 1, 2], [0, 2, 3], [4, -1, -1]], np.int32)
    out = np.empty((5, 2), np.int32)
    linking.asked_together(tops, 1, out)
    assert out.tolist() == [[1, 2], [0, -1], [0, -1], [0, -1], [-1, -1]]  # no room for 0 -> 3
    out = np.empty((5, 4), np.int32)
    linking.asked_together(tops, 2, out)
    assert out.tolist() == [[1, 2, 3, -1], [0, 2, -1, -1], [0, 1, 3, -1], [0, 2, -1, -1], [-1] * 4]


def test_links_are_joined_once_each_as_far_as_there_is_room():
    links = np.array([[1, -1, -1], [0, 2, -1]], np.int32)
    linking.join(np.array([[1, 3, -1], [3, 4, 5]], np.int32), links)
    assert links.tolist() == [[1, 3, -1], [0, 2, 3]]


def test_no_row_is_left_without_rows_that_lead_to_it():
    rng = np.random.default_rng(0)
    links = np.sort(rng.integers(0, 20, (200, 8)).astype(np.int32), axis=1)  # all lead to the same few
    links[:, 6:] = -1
    assert np.bincount(links[links >= 0], minlength=200)[20:].sum() == 0
    linking.adopt(links, 1)
    led = np.bincount(links[links >= 0], minlength=200)
    assert (led >= 1).mean() > 0.25  # the few have room for so many
    before = np.array([[1, 2], [0, 2], [0, 1], [0, 1]], np.int32)
    linking.adopt(before, 1)
    assert (np.bincount(before.ravel(), minlength=4) >= 1).all()
