from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.align.conftest import two_views

from commonspace.align import continue_training, fit_heads
from commonspace.align.data import PairData
from commonspace.align.fit import FitResult
from commonspace.align.heads.between import between
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.measure import evaluate_retrieval

OPTIONS: dict[str, Any] = {"epochs": 2, "recipe": "plain", "valid": 0.3}


def shifted(n: int, seed: int) -> dict[str, np.ndarray]:
    """Pairs of another domain: the same glasses, other things."""
    return {m: v + 1.5 * v.std(0) for m, v in two_views(n, seed=seed, noise=0.3).items()}


@pytest.fixture(scope="module")
def first() -> FitResult:
    return fit_heads(two_views(300), dim=8, epochs=8, valid=None, baselines=(), recipe="plain", random_state=0)


def test_it_is_mod_x_from_the_old_heads_on_both_parts_and_the_mean_of_old_and_new(first: FitResult) -> None:
    X, old = shifted(80, 5), two_views(60, seed=6)
    found = continue_training(first, X, memory=(old, None, None), share=0.25, **OPTIONS)
    every = PairData.check({m: np.concatenate([X[m], old[m]]) for m in X})
    training, held = every.split(0.3, np.random.default_rng(0))
    alone = fit_heads(
        training.X, groups=training.groups, valid=None, baselines=(), start=first, recipe="plain", random_state=0,
        old={m: h(training.first(m)) for m, h in first.heads.items()}, epochs=2, lr=7e-4, batch_size=64,
        objective={"name": "mod-x", "alpha": 1000.0},
    )  # fmt: skip
    expected = between(first.heads, alone.heads, 0.25)
    for m in "ab":
        np.testing.assert_array_equal(found.heads[m](X[m]), expected[m](X[m]))
    assert found.n == {"new": int((held.rows < 80).sum()), "past": int((held.rows >= 80).sum())}


def test_the_figures_are_those_of_held_out_items(first: FitResult) -> None:
    X, old = shifted(80, 5), two_views(60, seed=6)
    found = continue_training(first, X, memory=(old, None, None), **OPTIONS)
    every = PairData.check({m: np.concatenate([X[m], old[m]]) for m in X})
    held = every.split(0.3, np.random.default_rng(0))[1]
    past = held.take(np.flatnonzero(held.rows >= 80))
    for heads, told in ((first.heads, found.before), (found.heads, found.after)):
        z = {m: heads[m](past.first(m)) for m in "ab"}
        mrr = evaluate_retrieval(z["a"], z["b"], (past.groups, past.groups), ["mrr"])["mrr"]
        assert told["past"]["a->b"]["mrr"].value == pytest.approx(mrr.value)
    change = found.changes["past"]["a->b"]["mrr"]
    both = [f["past"]["a->b"]["mrr"].value for f in (found.after, found.before)]
    assert (change.a, change.difference) == ("after", pytest.approx(both[0] - both[1]))
    hits = [np.mean([f["past"][t]["hit@10"].value for t in ("a->b", "b->a")]) for f in (found.after, found.before)]
    assert found.kept is not None
    assert found.kept.value == pytest.approx(hits[0] / hits[1])
    assert found.rotation is not None
    assert found.rotation.modalities["a"].angle.n == len(held)


def test_it_learns_the_new_and_without_going_anywhere_keeps_everything(first: FitResult) -> None:
    X = shifted(300, 5)
    learned = continue_training(first, X, share=1.0, alpha=0.0, **{**OPTIONS, "epochs": 30, "lr": 3e-3})
    assert learned.changes["new"]["a->b"]["mrr"].low > 0
    assert learned.kept is None
    assert set(learned.n) == {"new"}
    still = continue_training(first, X, memory=(two_views(60, seed=6), None, None), share=0.0, **OPTIONS)
    assert still.kept is not None
    assert still.kept.value == 1
    assert all(c.difference == 0 for of in still.changes.values() for t in of.values() for c in t.values())


def test_equal_groups_are_the_same_thing_in_both_parts_where_both_are_given(first: FitResult) -> None:
    X, old = shifted(60, 5), two_views(60, seed=6)
    names = np.arange(60)
    found = continue_training(first, X, groups=names, memory=(old, None, names), **OPTIONS)
    assert found.n["new"] == found.n["past"] == 18  # whole things are held out, with both of their parts
    apart = continue_training(first, X, memory=(old, None, names), **OPTIONS)
    assert apart.n["new"] + apart.n["past"] == 36


def test_a_new_modality_and_missing_ones_are_welcome(first: FitResult) -> None:
    X = {**shifted(100, 5), "c": np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)}
    found = continue_training(first, X, present={"b": np.arange(100) % 3 > 0}, **OPTIONS)
    assert found.heads["c"](X["c"]).shape == (100, 8)
    assert set(found.changes["new"]) == {"a->b", "b->a"}


def test_the_report_reads_well_and_few_items_have_no_rotation(first: FitResult) -> None:
    found = continue_training(first.heads, shifted(18, 5), memory=(two_views(10, seed=6), None, None), **OPTIONS)
    assert found.rotation is None
    assert json.loads(json.dumps(found.to_dict()))["n"] == found.n
    assert str(found).splitlines()[0].startswith(f"on {found.n['new']} held-out new items")
    assert "kept of the past's hit@10" in str(found)


def test_what_does_not_fit_is_refused(first: FitResult) -> None:
    X = shifted(60, 5)
    with pytest.raises(BadInput, match="heads to go on from"):
        continue_training("heads", X, **OPTIONS)
    with pytest.raises(SpaceMismatch):
        continue_training({"a": first.heads["b"], "b": first.heads["a"]}, X, **OPTIONS)
    with pytest.raises(BadInput, match=r"memory must be \(X, present, groups\)"):
        continue_training(first, X, memory=5, **OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="the memory must have the modalities"):
        continue_training(first, X, memory=({"a": X["a"], "c": X["b"]}, None, None), **OPTIONS)
