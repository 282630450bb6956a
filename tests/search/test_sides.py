"""A side is asked its own queries, by its own items, and answers on the scale of the others."""

import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.search.best import Gallery, best_items
from commonspace.search.sides import Side

rng = np.random.default_rng(0)
NEW, OLD = unit(rng.normal(size=(12, 6)).astype(np.float32)), unit(rng.normal(size=(20, 4)).astype(np.float32))
ASKED, BACK = unit(rng.normal(size=(5, 6)).astype(np.float32)), unit(rng.normal(size=(5, 4)).astype(np.float32))
LINES = [(1.0 + i / 3, i / 10) for i in range(5)]


def sides(rows=None):
    native = Gallery("text", np.arange(20, 32), NEW, side="native")
    scales = [lambda s, a=a, b=b: s * a + b for a, b in LINES]
    return native, Side(Gallery("text", np.arange(20), OLD), "bridged", BACK, rows, scales)


def naive(q, rows, mask):
    scores = {20 + i: float(NEW[i] @ ASKED[q]) for i in range(12)}
    scores |= {i: float(OLD[i] @ BACK[q]) * LINES[q][0] + LINES[q][1] for i in range(20) if rows is None or rows[i]}
    return {i: s for i, s in scores.items() if mask is None or mask[i]}


@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("k", [1, 4, 99])
def test_both_sides_are_merged_as_a_loop_over_all_items_does(some, filtered, k):
    rows = np.arange(32) % 3 > 0 if some else None
    mask = np.arange(32) % 4 > 0 if filtered else None
    native, bridged = sides(rows)
    for q, hits in enumerate(best_items(ASKED, [native, bridged], k, mask=mask)):
        wanted = naive(q, rows, mask)
        assert [h.row for h in hits] == sorted(wanted, key=lambda i: (-wanted[i], i))[:k]
        np.testing.assert_allclose([h.score for h in hits], sorted(wanted.values(), reverse=True)[:k], atol=1e-5)
        assert all(h.side == ("native" if h.row >= 20 else "bridged") for h in hits)


def test_some_of_the_queries_are_asked_as_if_they_had_come_alone():
    native, bridged = sides()
    some = best_items(ASKED[[3, 1]], [native, bridged.of([3, 1])], 6)
    assert some == [best_items(ASKED, [native, bridged], 6)[q] for q in (3, 1)]


def test_a_side_without_items_says_so():
    _, bridged = sides(np.zeros(32, bool))
    rows, scores = bridged.best(ASKED, 3, None)
    assert rows.shape == scores.shape == (5, 0)
    assert bridged.modality == "text"
    assert [p.selected for p in bridged.plans] == [0]
