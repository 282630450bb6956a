from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.align.conftest import shuffled, two_views

from commonspace.align.data import PairData
from commonspace.align.hygiene.noisy_pairs import PairQuality, pair_quality, wrong_share
from commonspace.core.errors import BadInput


@pytest.fixture(scope="module")
def noisy() -> tuple[PairQuality, np.ndarray, np.ndarray]:
    X, wrong, order = shuffled()
    return pair_quality(X), wrong, order


def test_wrong_pairs_are_told_from_right_ones(noisy: tuple[PairQuality, np.ndarray, np.ndarray]) -> None:
    quality, wrong, _ = noisy
    assert roc_auc_score(~wrong, quality.probability("a")) > 0.97


def test_probabilities_are_what_they_say(noisy: tuple[PairQuality, np.ndarray, np.ndarray]) -> None:
    quality, wrong, _ = noisy
    p = quality.probability("b")
    bins = np.digitize(p, np.linspace(0, 1, 6)[1:-1])
    gaps = [abs((~wrong)[bins == i].mean() - p[bins == i].mean()) * (bins == i).mean() for i in np.unique(bins)]
    assert sum(gaps) < 0.08


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_the_share_of_wrong_pairs_is_estimated(share: float) -> None:
    X, wrong, _ = shuffled(share=share, seed=1)
    found = pair_quality(X).wrong["a", "b"]
    assert found.value == pytest.approx(wrong.mean(), abs=0.08)
    assert found.low <= found.value <= found.high
    assert found.n == 600


def test_a_wrong_pair_gets_its_true_partner_suggested(noisy: tuple[PairQuality, np.ndarray, np.ndarray]) -> None:
    quality, wrong, order = noisy
    found = quality.judged["a", "b"]
    true = np.argsort(order)  # where each item's own second side went
    assert (found.partner[wrong] == true[wrong]).mean() > 0.8


def test_partners_of_the_same_group_are_no_alternatives() -> None:
    X = two_views(200)
    twice = {m: np.repeat(v, 2, axis=0) for m, v in X.items()}
    alone, together = pair_quality(twice), pair_quality(twice, groups=np.repeat(np.arange(200), 2))
    assert together.wrong["a", "b"].value <= alone.wrong["a", "b"].value
    assert together.judged["a", "b"].better.max() <= 0.5


def test_items_that_lack_a_side_are_not_judged() -> None:
    X = two_views(200)
    X["c"] = X["a"][:, ::-1].copy()
    present = {"b": np.arange(200) >= 20, "c": np.arange(200) < 150}
    quality = pair_quality(X, present=present)
    assert set(quality.judged) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert np.isnan(quality.probability("b")[:20]).all()
    assert not np.isnan(quality.probability("a")).any()
    assert len(quality.judged["b", "c"].rows) == 130


def test_the_audit_can_be_read(noisy: tuple[PairQuality, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    quality, wrong, _ = noisy
    names = {"b": [f"text {i}" for i in range(600)]}
    rows = quality.table(names, ids=[f"item {i}" for i in range(600)])
    assert len(rows) == 600
    assert [r["probability"] for r in rows] == sorted(r["probability"] for r in rows)
    worst = rows[0]
    assert worst["verdict"] == "wrong"
    assert wrong[int(worst["id"].split()[1])]
    assert worst["b"].startswith("text")
    assert worst["suggested b"] == f"text {worst['suggestion'].split()[1]}"
    assert "% of the others' b fit its a better" in worst["reason"]
    quality.to_csv(tmp_path / "audit.csv", names)
    with (tmp_path / "audit.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 600
    assert "of 600 pairs" in str(quality)


def test_the_same_seed_gives_the_same_verdicts() -> None:
    X, _, _ = shuffled(n=200)
    one, other = pair_quality(X, random_state=3), pair_quality(X, random_state=3)
    np.testing.assert_array_equal(one.probability("a"), other.probability("a"))


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 50"):
        pair_quality(two_views(49))


def test_data_that_is_all_wrong_is_not_trained_on() -> None:
    rng = np.random.default_rng(0)
    X = {m: rng.normal(size=(300, 8)).astype(np.float32) for m in "ab"}
    found = pair_quality(X).wrong["a", "b"]
    assert found.high == 1.0
    assert found.value > 0.8


@pytest.mark.parametrize("arguments", [{"folds": 1}, {"folds": 31}, {"repeats": 0}])
def test_impossible_arguments_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        pair_quality(two_views(60), **arguments)


def test_a_modality_of_which_no_pair_was_judged_is_named(noisy: tuple[PairQuality, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(BadInput, match="no pair with 'txt' was judged; there are pairs of a, b"):
        noisy[0].probability("txt")


def test_pairs_of_one_group_are_not_estimated_beside_others_that_are() -> None:
    X = {**two_views(200), "c": two_views(200, seed=3)["a"]}
    together = np.arange(200) < 60  # only these have c, and all of them are one thing
    data = PairData.check(X, {"c": together}, np.where(together, 0, np.arange(200)))
    estimate = wrong_share(data, rng=np.random.default_rng(0))
    assert estimate is not None
    assert estimate.n == 200
