from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.align.conftest import shuffled, two_views

from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.hygiene.noisy_pairs import pair_quality
from commonspace.align.hygiene.remedies import Likely, cleaned, repaired
from commonspace.align.samplers.uniform import Uniform
from commonspace.core.errors import BadInput


def test_one_wrong_side_of_three_is_the_one_that_goes() -> None:
    X, wrong, _ = shuffled()
    X["c"] = two_views(600)["b"] @ np.linalg.qr(np.random.default_rng(3).normal(size=(30, 30)))[0].astype(np.float32)
    data = PairData.check(X)
    left = cleaned(data, pair_quality(X))
    assert left.present["b"][wrong].mean() < 0.3
    assert left.present["c"].mean() > 0.95
    assert left.present["a"].mean() > 0.95


def test_repair_puts_the_true_partner_back() -> None:
    X, wrong, _ = shuffled()
    data = PairData.check(X)
    left = repaired(data, pair_quality(X))
    truth = two_views(600)["b"]
    right = (left.X["b"][:, 0] == truth[left.rows]).all(axis=1)
    assert len(left) > 0.85 * 600
    assert right.mean() > 0.95
    assert right[wrong[left.rows]].mean() > 0.8


def test_an_item_is_drawn_as_often_as_it_is_likely_right() -> None:
    probability = np.array([0.0, 0.25, 1.0, np.nan] * 25)
    sampler, rng = Likely(Uniform(batch_size=10), probability), np.random.default_rng(0)
    seen = np.concatenate([b for _ in range(200) for b in sampler.batches(100, rng)])
    share = np.bincount(seen % 4, minlength=4) / (25 * 200)
    assert share == pytest.approx([0, 0.25, 1, 1], abs=0.03)


@pytest.mark.parametrize("remedy", ["drop", "repair", "reweight"])
def test_training_without_wrong_pairs_finds_more(remedy: str) -> None:
    X, _, _ = shuffled(n=500, share=0.6)
    test = two_views(200, seed=7)
    options = {"dim": 16, "epochs": 15, "batch_size": 64, "head": "linear", "baselines": (), "lr": 5e-3}
    valid = (test, None, None)
    plain = fit_heads(X, valid=valid, **options)
    robust = fit_heads(X, valid=valid, noisy_pairs=remedy, **options)
    assert robust.valid_metrics["mrr"] > plain.valid_metrics["mrr"] + 0.02
    assert robust.params["noisy_pairs"] == remedy
    assert plain.pair_quality is None


def test_verdicts_of_a_fit_stand_at_the_positions_of_the_users_data() -> None:
    X, wrong, _ = shuffled()
    fitted = fit_heads(X, dim=8, epochs=1, noisy_pairs="drop", baselines=(), valid=0.2)
    p = fitted.pair_quality.probability("a")
    assert p.shape == (600,)
    judged = ~np.isnan(p)
    assert judged.mean() == pytest.approx(0.8, abs=0.01)
    assert roc_auc_score(~wrong[judged], p[judged]) > 0.95


def test_an_unknown_remedy_is_refused() -> None:
    with pytest.raises(BadInput, match="noisy_pairs"):
        fit_heads(two_views(100), noisy_pairs="pray")


def test_three_modalities_cannot_be_repaired() -> None:
    X = two_views(100)
    X["c"] = X["a"]
    with pytest.raises(BadInput, match="two modalities"):
        fit_heads(X, noisy_pairs="repair", valid=None)


def test_a_second_look_judges_anew_and_well() -> None:
    X, wrong, _ = shuffled(n=400, share=0.4, seed=2)
    options = {"dim": 16, "epochs": 10, "batch_size": 64, "baselines": (), "lr": 5e-3, "valid": None}
    one = fit_heads(X, noisy_pairs="drop", **options)
    two = fit_heads(X, noisy_pairs={"remedy": "drop", "looks": 2}, **options)
    p, q = one.pair_quality.probability("a"), two.pair_quality.probability("a")
    assert roc_auc_score(~wrong, q) > 0.95
    assert not np.array_equal(p, q)
    assert two.params["noisy_pairs"] == {"remedy": "drop", "looks": 2}


def test_training_without_wrong_pairs_takes_as_many_steps() -> None:
    X, _, _ = shuffled(n=500, share=0.4)
    fitted = fit_heads(X, dim=8, epochs=10, noisy_pairs="drop", baselines=(), valid=None, batch_size=50)
    kept = (fitted.pair_quality.probability("a") > 0.5).mean()
    assert len(fitted.history) == round(10 / kept)


@pytest.mark.parametrize("spec", [{"remedy": "drop", "looks": 3}, {"looks": 2}, {"remedy": "drop", "look": 2}])
def test_a_remedy_that_is_none_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="noisy_pairs"):
        fit_heads(two_views(100), noisy_pairs=spec, valid=None)


@pytest.mark.parametrize("remedy", [True, 0.4, ["drop"]])
def test_what_names_no_remedy_is_refused(remedy: object) -> None:
    with pytest.raises(BadInput, match='noisy_pairs must be "keep", "drop"'):
        fit_heads(two_views(100), noisy_pairs=remedy, valid=None)


def test_reweighting_shows_as_many_pairs_in_more_and_smaller_steps() -> None:
    X, _, _ = shuffled(n=500, share=0.4)
    fitted = fit_heads(X, dim=8, epochs=10, noisy_pairs="reweight", baselines=(), valid=None, batch_size=50)
    assert len(fitted.history) == round(10 / fitted.pair_quality.likely.mean())


def test_a_modality_that_was_not_judged_stays_as_it_is() -> None:
    X, _, _ = shuffled()
    X["c"] = X["a"]
    data = PairData.check(X, {"c": np.arange(600) < 20})
    left = cleaned(data, pair_quality(X, present=data.present))
    assert left.present["c"].sum() == 20


def test_old_vectors_go_where_their_items_go() -> None:
    X, _, order = shuffled()
    own = np.stack([np.arange(600), np.ones(600)], 1)  # tells the items apart
    data = PairData.check(X, old={"a": own, "b": own[order]})
    told = {m: np.round(v[:, 0] / v[:, 1]).astype(int) for m, v in data.old.items()}
    np.testing.assert_array_equal(told["b"], order)
    left = repaired(data, pair_quality(X))
    now = np.round(left.old["b"][:, 0] / left.old["b"][:, 1]).astype(int)
    np.testing.assert_array_equal(left.X["b"][:, 0], two_views(600)["b"][now])
    assert (now != order[left.rows]).any()
    np.testing.assert_array_equal(np.round(left.old["a"][:, 0] / left.old["a"][:, 1]), left.rows)
    kept = cleaned(data, pair_quality(X))
    np.testing.assert_array_equal(kept.old["b"], data.old["b"][kept.rows])
