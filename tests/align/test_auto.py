from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.align.conftest import shuffled, two_views

from commonspace.align.auto import Choice, Facts, choose
from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.hygiene.noisy_pairs import wrong_share
from commonspace.measure.statistics.estimates import Estimate

SMALL: dict[str, Any] = {"dim": 8, "batch_size": 64, "epochs": 1, "baselines": (), "objective": "auto"}


def facts(**changes: Any) -> Facts:
    plain = {"n": 1000, "modalities": 2, "pairs": 1000, "partners": 1.0, "graded": False, "batch_size": 256}
    return Facts(**{**plain, **changes})


def wrong(low: float, high: float) -> Estimate:
    return Estimate("wrong pairs", (low + high) / 2, low, high, n=1000)


@pytest.mark.parametrize(
    ("changes", "objective", "remedy"),
    [
        ({}, "tal", None),
        ({"modalities": 5}, "tal", None),
        ({"wrong": wrong(0.0, 0.1)}, "tal", None),
        ({"wrong": wrong(0.15, 0.3)}, "tal", None),  # not surely above 20 %
        ({"wrong": wrong(0.3, 0.4)}, "tal", "reweight"),
        ({"partners": 4.0}, "decoupled-softmax", None),
        ({"partners": 4.0, "graded": True}, "tal", None),
        ({"partners": 4.0, "wrong": wrong(0.3, 0.4)}, "decoupled-softmax", "reweight"),
    ],
)
def test_the_rules(changes: dict[str, Any], objective: str, remedy: str | None) -> None:
    choice = choose(facts(**changes))
    assert (choice.objective, choice.noisy_pairs) == (objective, remedy)
    assert choice.reason.startswith(f"objective {objective!r}")
    assert ("as often as they are likely right" in choice.reason) == (remedy is not None)
    assert choice.reason.endswith(".")
    assert "\n" not in choice.reason


def test_partners_are_counted_as_a_batch_meets_them() -> None:
    groups = np.repeat(np.arange(10), 10)
    whole = Facts.counted(groups, 2, 10, 1000, graded=False)
    assert whole.partners == 10
    assert whole.batch_size == 100
    rng = np.random.default_rng(0)
    batches = [rng.permutation(groups)[:20] for _ in range(500)]
    met = np.mean([(b[:, None] == b[None, :]).sum(1).mean() for b in batches])
    assert Facts.counted(groups, 2, 10, 20, graded=False).partners == pytest.approx(met, rel=0.02)
    assert Facts.counted(np.arange(5), 2, 5, 2, graded=False).partners == 1


def test_the_share_of_wrong_pairs_is_found_where_they_are_planted_and_only_there() -> None:
    X, planted, _ = shuffled(2000, 0.4)
    found = wrong_share(PairData.check(X), rng=np.random.default_rng(0))
    assert found is not None
    assert found.value == pytest.approx(planted.mean(), abs=0.08)
    clean = wrong_share(PairData.check(two_views(800)), rng=np.random.default_rng(0))
    assert clean is not None
    assert clean.high < 0.05


def test_of_many_pairs_only_some_are_looked_at() -> None:
    found = wrong_share(PairData.check(two_views(500)), most=120, rng=np.random.default_rng(0))
    assert found is not None
    assert found.n == 120


def test_too_few_pairs_are_not_judged() -> None:
    data = PairData.check(two_views(40))
    assert wrong_share(data, rng=np.random.default_rng(0)) is None
    found = Facts.of(data, 64, graded=False, rng=np.random.default_rng(0))
    assert "not estimated" in choose(found).reason


def test_fit_says_what_it_took_and_why() -> None:
    fitted = fit_heads(two_views(200), **SMALL)
    assert isinstance(fitted.choice, Choice)
    assert fitted.params["objective"] == fitted.choice.objective
    assert fitted.params["chosen"] == fitted.choice.reason
    json.dumps(fitted.choice.facts.to_dict())
    assert fit_heads(two_views(200), **{**SMALL, "objective": "tal"}).choice is None


def test_the_choice_trains_as_its_objective_does_by_name() -> None:
    X = two_views(200)
    chosen = fit_heads(X, **SMALL)
    named = fit_heads(X, **{**SMALL, "objective": chosen.params["objective"]})
    assert all(chosen.heads[m].fingerprint == named.heads[m].fingerprint for m in X)


def test_the_choice_knows_the_training_part_alone() -> None:
    X, _, _ = shuffled(600, 0.5)
    clean = two_views(600, seed=1)
    one = fit_heads(X, valid=(clean, None, None), **SMALL)
    other = fit_heads(X, valid=None, **SMALL)
    assert one.choice == other.choice
    assert one.choice is not None
    assert one.choice.facts.n == 600


def test_wrong_pairs_and_groups_change_the_choice() -> None:
    X, planted, _ = shuffled(800, 0.5)
    noisy = fit_heads(X, valid=None, **SMALL)
    assert noisy.params["noisy_pairs"] == "reweight"
    assert noisy.pair_quality is not None
    assert noisy.pair_quality.likely[~planted].mean() > noisy.pair_quality.likely[planted].mean() + 0.5
    grouped = fit_heads(two_views(200), groups=np.arange(200) // 20, valid=None, **SMALL)
    assert grouped.params["objective"] == "decoupled-softmax"


def test_a_user_who_says_what_to_do_about_wrong_pairs_is_obeyed() -> None:
    X, _, _ = shuffled(800, 0.5)
    kept = fit_heads(X, valid=None, noisy_pairs="keep", **SMALL)
    assert kept.pair_quality is None
    assert kept.params["noisy_pairs"] == "keep"
    assert fit_heads(X, valid=None, noisy_pairs="drop", **SMALL).params["noisy_pairs"] == "drop"


def test_a_nested_space_wraps_what_was_chosen() -> None:
    fitted = fit_heads(two_views(200), matryoshka=[4], **SMALL)
    assert fitted.choice is not None
    assert fitted.params["objective"]["objective"] == fitted.choice.objective


@pytest.mark.parametrize("said", ["keep", "drop"])
def test_the_reason_speaks_of_reweighting_only_where_it_is_done(said: str) -> None:
    X, _, _ = shuffled(n=400, share=0.7)
    assert "shown as often" in fit_heads(X, **SMALL).choice.reason
    told = fit_heads(X, noisy_pairs=said, **SMALL)
    assert "shown as often" not in told.choice.reason
    assert told.choice.noisy_pairs == told.params["noisy_pairs"] == said
