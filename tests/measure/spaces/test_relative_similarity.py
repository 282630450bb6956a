import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import relative_similarity


def spaces(n: int = 60, noise: float = 0.5, seed: int = 0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 6)) + 1
    return z, (z + noise * rng.normal(size=z.shape)) @ rng.normal(size=(6, 9))


def naive(a, b, anchors, center):
    shift = [v[anchors].mean(axis=0) if center else 0 for v in (a, b)]
    rest = [i for i in range(len(a)) if i not in set(anchors)]

    def r(v, s, i):
        cosines = [unit(v[i] - s) @ unit(v[j] - s) for j in anchors]
        return np.array(cosines) / np.linalg.norm(cosines)

    table = np.array([[r(a, shift[0], i) @ r(b, shift[1], j) for j in rest] for i in rest])
    own = np.diag(table)
    ranks = [(t >= np.diag(t)[:, None]).sum(axis=1) for t in (table, table.T)]
    others = table[~np.eye(len(rest), dtype=bool)].mean()
    return own.mean(), others, np.mean([1 / k for k in ranks])


@pytest.mark.parametrize("center", [False, True])
def test_the_figures_equal_the_naive_loop(center):
    a, b = spaces()
    anchors = np.array([3, 7, 11, 20, 41])
    found = relative_similarity(a, b, anchors, center=center)
    want = naive(a, b, anchors, center)
    np.testing.assert_allclose([found.cosine.value, found.of_others.value, found.mrr.value], want, atol=1e-5)
    assert (found.cosine.n, found.anchors) == (55, 5)
    assert found.chance == pytest.approx(np.mean(1 / np.arange(1, 56)))


def test_a_rotated_and_scaled_space_is_the_same_one():
    a, _ = spaces()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    found = relative_similarity(a, 7 * a @ turn, 12)
    assert found.cosine.value == pytest.approx(1, abs=1e-6)
    assert found.mrr.value == 1
    assert found.mrr.low < 1


def test_crowded_rows_have_a_high_cosine_and_so_have_other_items():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(80, 5)) + 20, rng.normal(size=(80, 5)) - 20
    found = relative_similarity(a, b, 20)
    assert found.cosine.value > 0.99
    assert found.of_others.value == pytest.approx(found.cosine.value, abs=1e-3)
    assert found.mrr.low < found.chance < found.mrr.high


def test_intervals_cover_the_figure_of_the_population_about_as_often_as_they_say():
    a, b = spaces(400, 2.0, 1)
    anchors = np.arange(15)
    whole = relative_similarity(a, b, anchors, resamples=10)
    inside = {"cosine": 0, "of_others": 0}
    for s in range(100):
        rows = np.r_[anchors, 15 + np.random.default_rng(s).choice(385, 60, replace=False)]
        e = relative_similarity(a[rows], b[rows], anchors, resamples=300, random_state=s)
        for name in inside:
            part = getattr(e, name)
            inside[name] += part.low <= getattr(whole, name).value <= part.high
    assert min(inside.values()) >= 88


def test_rows_of_one_thing_are_finds_for_each_other_and_not_judged_beside_an_anchor():
    a, b = spaces(60)
    groups = np.repeat(np.arange(30), 2)
    found = relative_similarity(a, b, np.array([0, 2, 4]), groups=groups)
    assert found.cosine.n == 54
    plain = relative_similarity(a, b, np.array([0, 2, 4]))
    assert found.mrr.value >= plain.mrr.value
    assert found.chance > plain.chance


def test_a_seed_repeats_and_rows_are_limited():
    a, b = spaces(200)
    one, other = (relative_similarity(a, b, most=50, random_state=4) for _ in range(2))
    assert one == other
    assert (one.anchors, one.cosine.n) == (25, 25)
    assert json.loads(json.dumps(one.to_dict()))["mrr"]["n"] == 25
    assert "by chance" in str(one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: relative_similarity(a, b[:-1]), "same items"),
        (lambda a, b: relative_similarity(a, b, 55), "fewer anchors"),
        (lambda a, b: relative_similarity(a, b, [60]), "rows 0 to 59"),
        (lambda a, b: relative_similarity(a, b, [1, 1]), "twice"),
        (lambda a, b: relative_similarity(a, b, [[1]]), "positions"),
        (lambda a, b: relative_similarity(a, b, 0), "anchors"),
        (lambda a, b: relative_similarity(a * 0, b), "zero vectors"),
        (lambda a, b: relative_similarity(a[:0], b[:0]), "at least"),
        (lambda a, b: relative_similarity(a * np.nan, b), "NaN"),
        (lambda a, b: relative_similarity(a, b, groups=np.zeros(3)), "groups"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*spaces())
