from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.align.conftest import two_views

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.negatives import Negatives
from commonspace.align.refinement import refine, standing
from commonspace.core.errors import BadInput
from commonspace.measure import contrastive_gap, evaluate_retrieval


def trained(**options: Any) -> FitResult:
    return fit_heads(
        two_views(400), head={"name": "mlp", "hidden": 32}, dim=8, epochs=10, batch_size=100, valid=None, baselines=(),
        **options,
    )  # fmt: skip


def test_it_starts_from_the_heads_as_they_are_and_leaves_them_alone() -> None:
    first, X = trained(), two_views(400)
    prints = {m: h.fingerprint for m, h in first.heads.items()}
    found = refine(first, X, epochs=1, lr=1e-9, batch_size=100)
    for (_, _, before), (_, _, after) in zip(found.before.rows(), found.after.rows(), strict=True):
        assert after.value == pytest.approx(before.value, abs=1e-3)
    assert {m: h.fingerprint for m, h in first.heads.items()} == prints
    assert found.held_out
    assert found.n == 40
    assert "on 40 held-out items" in str(found)


def test_it_narrows_the_gap_and_recall_stays() -> None:
    first, X = trained(objective={"name": "infonce", "temperature": 0.01, "learn_temperature": False}), two_views(400)
    found = refine(first, X, epochs=10, batch_size=100)
    assert found.after.gaps["a and b"].distance.value < found.before.gaps["a and b"].distance.value
    for task in ("a->b", "b->a"):
        change = found.changes[task]["mrr"]
        old, new = (at.retrieval[task]["mrr"] for at in (found.before, found.after))
        assert change.difference == pytest.approx(new.value - old.value)
        assert change.n == 40
        assert change.high > -0.05


def test_it_takes_heads_alone_missing_items_and_a_seed() -> None:
    first, X = trained(), two_views(400)
    present = {"a": np.arange(400) % 5 != 0}
    one, other = (
        refine(first.heads, X, present=present, valid=None, epochs=1, batch_size=100, random_state=3) for _ in range(2)
    )
    assert one.to_dict() == other.to_dict()
    assert one.before.retrieval["a->b"]["mrr"].n == 320
    assert not one.held_out
    assert one.result.params["objective"]["temperature"] == 0.07


def test_the_temperature_is_that_of_the_training_before() -> None:
    first = trained(objective={"name": "infonce", "temperature": 0.2, "learn_temperature": False})
    found = refine(first, two_views(400), epochs=1, batch_size=100)
    assert found.result.params["objective"]["temperature"] == pytest.approx(0.2)


def test_what_is_measured_is_what_measure_measures() -> None:
    first, X = trained(), two_views(30, seed=5)
    groups = np.arange(30) // 2
    data = PairData.check(X, {"b": np.arange(30) < 25}, groups)
    z, w = first.heads["a"](X["a"]), first.heads["b"](X["b"][:25])
    found = standing(first.heads, data, random_state=3)
    assert found.gaps["a and b"] == contrastive_gap(z[:25], w, groups=groups[:25], random_state=3)
    asks = evaluate_retrieval(z[:26], w, (groups[:26], groups[:25]), ["mrr"], groups=groups[:26], random_state=3)
    assert found.retrieval["a->b"]["mrr"] == asks["mrr"]  # the 26th item has no b of its own, but its group has
    assert set(found.to_dict()) == {"gaps", "retrieval"}


def test_modalities_that_never_meet_have_no_gap_and_still_search() -> None:
    first, X = trained(), two_views(40)
    half = np.arange(40) < 20
    found = standing(first.heads, PairData.check(X, {"a": half, "b": ~half}, np.arange(40) % 20))
    assert found.gaps == {}
    assert found.retrieval["a->b"]["mrr"].n == 20


def test_too_few_things_for_a_gap_are_named_before_any_training() -> None:
    with pytest.raises(BadInput, match=r"a and b: .* at least 10 .* valid=None"):
        refine(trained(), two_views(400), valid=0.01, epochs=10**6)


def test_heads_of_other_modalities_are_refused() -> None:
    X = two_views(400)
    with pytest.raises(BadInput, match="heads for"):
        refine(trained().heads, {"a": X["a"], "c": X["b"]})


def test_what_is_said_of_items_is_said_in_positions_of_the_users_data() -> None:
    X, asked = two_views(400), []

    def relevance(index: np.ndarray) -> np.ndarray:
        asked.append(index)
        return np.eye(len(index))

    made = {"b": Negatives(X["b"] + 1, np.arange(400))}
    found = refine(trained(), X, relevance=relevance, negatives=made, epochs=1, batch_size=100)
    seen = np.unique(np.concatenate(asked))
    assert len(seen) == 400 - found.n
    assert seen.max() >= 400 - found.n  # as numbers of the rows that are left they would be smaller
    table = csr_array(np.eye(400))
    assert refine(trained(), X, relevance=table, epochs=1, batch_size=100).n == found.n


def test_verdicts_on_pairs_stand_at_the_positions_of_the_users_data() -> None:
    found = refine(trained(), two_views(400), noisy_pairs="drop", epochs=1, batch_size=100)
    judged = ~np.isnan(found.result.pair_quality.probability("a"))
    assert judged.shape == (400,)
    assert judged.sum() == 400 - found.n
