from __future__ import annotations

import math

import numpy as np
import pytest
from tests.align.conftest import shuffled

from commonspace.align.hygiene.pair_judges import Judge, _density_ratio, _losses, by_map, by_neighbours, judged_once


def test_the_loss_equals_the_naive_loop() -> None:
    rng = np.random.default_rng(0)
    scores, t = rng.normal(size=(5, 5)), 0.3
    groups = np.array([0, 1, 1, 2, 3])
    alone = (groups[:, None] != groups) | np.eye(5, dtype=bool)
    partner = np.array([1, 2, 3, 4, 0])
    (found,) = _losses(scores, alone, t, [partner])
    for i, j in enumerate(partner):
        row = math.log(sum(math.exp(scores[i, k] / t) for k in range(5) if alone[i, k]))
        column = math.log(sum(math.exp(scores[k, j] / t) for k in range(5) if alone[k, j]))
        assert found[i] == pytest.approx((row + column) / 2 - scores[i, j] / t)


def test_a_dealt_partner_may_compete_without_the_pairs_own() -> None:
    rng = np.random.default_rng(0)
    scores, t, deal = rng.normal(size=(5, 5)), 0.3, np.array([1, 2, 3, 4, 0])
    alone = np.ones((5, 5), bool)
    own, dealt = _losses(scores, alone, t, [np.arange(5), deal], apart=True)
    assert own == pytest.approx(_losses(scores, alone, t, [np.arange(5)])[0])
    for i, j in enumerate(deal):
        row = math.log(sum(math.exp(scores[i, k] / t) for k in range(5) if k != i))
        column = math.log(sum(math.exp(scores[k, j] / t) for k in range(5) if k != j))
        assert dealt[i] == pytest.approx((row + column) / 2 - scores[i, j] / t)


def test_the_ratio_of_densities_is_that_of_two_normals() -> None:
    rng = np.random.default_rng(0)
    share = 0.4
    null = rng.normal(0, 1, 40_000)
    wrong = rng.random(20_000) < share
    losses = np.where(wrong, rng.normal(0, 1, 20_000), rng.normal(-2.5, 1, 20_000))
    f0, f1 = (np.exp(-0.5 * (losses - m) ** 2) for m in (0.0, -2.5))
    true = f0 / (share * f0 + (1 - share) * f1)
    assert np.abs(_density_ratio(losses, null, share) - true).mean() < 0.06


def test_a_second_judge_that_knows_adds_to_one_that_does_not() -> None:
    _, wrong, order = shuffled(n=300)
    keys, rng = np.arange(300), np.random.default_rng(0)
    parts = np.array_split(rng.permutation(300), 3)
    knows = np.where(order == np.arange(300)[:, None], 0.9, 0.1 * rng.random((300, 300)))
    guesses = rng.random((300, 300))
    sure = Judge(lambda rows: knows[np.ix_(rows, rows)], (0.05, 0.1))
    blind = Judge(lambda rows: guesses[np.ix_(rows, rows)], (0.05, 0.1))
    alone, _, _ = judged_once(keys, parts, lambda learn: [blind])
    both, _, tail = judged_once(keys, parts, lambda learn: [blind, sure])
    assert abs(alone[~wrong].mean() - alone[wrong].mean()) < 0.1
    assert both[~wrong].min() > both[wrong].mean()
    assert tail[~wrong].max() == 0


def test_judges_learn_from_other_folds_alone() -> None:
    X, _, _ = shuffled(n=120)
    parts = np.array_split(np.random.default_rng(1).permutation(120), 4)
    seen: list[np.ndarray] = []

    def learned(learn: np.ndarray) -> list[Judge]:
        seen.append(learn)
        return [by_map(X["a"], X["b"], learn)]

    judged_once(np.arange(120), parts, learned)
    for part, learn in zip(parts, seen, strict=True):
        assert not set(part) & set(learn)
        assert len(part) + len(learn) == 120


def test_neighbours_expect_what_their_own_second_sides_are() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(30, 4)), rng.normal(size=(30, 5))
    likely, rows = np.arange(20), np.array([22, 25, 29])
    found = by_neighbours(A, B, likely, k=3, temperature=0.1).scores(rows)
    a = (A - A[:20].mean(0)) / np.linalg.norm(A - A[:20].mean(0), axis=1, keepdims=True)
    b = (B - B[:20].mean(0)) / np.linalg.norm(B - B[:20].mean(0), axis=1, keepdims=True)
    for r, i in enumerate(rows):
        cosines = sorted(((float(a[i] @ a[n]), n) for n in likely), reverse=True)[:3]
        expected = sum(math.exp(c / 0.1) * b[n] for c, n in cosines)
        expected /= np.linalg.norm(expected)
        assert found[r] == pytest.approx(b[rows] @ expected)


def test_fewer_teachers_than_neighbours_are_all_asked() -> None:
    rng = np.random.default_rng(0)
    judge = by_neighbours(rng.normal(size=(9, 4)), rng.normal(size=(9, 5)), np.arange(4), k=10)
    assert judge.scores(np.arange(4, 9)).shape == (5, 5)
