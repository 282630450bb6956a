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
    new = PairData.check(X).split(0.3, np.random.default_rng(0))[0]
    both = {m: np.concatenate([new.X[m], old[m][:, None]]) for m in X}
    alone = fit_heads(
        both, groups=np.concatenate([new.groups, 1000 + np.arange(60)]), valid=None, baselines=(), start=first,
        old={m: h(both[m][:, 0]) for m, h in first.heads.items()}, epochs=2, lr=7e-4, batch_size=64, recipe="plain",
        objective={"name": "mod-x", "alpha": 1000.0}, random_state=0,
    )  # fmt: skip
    expected = between(first.heads, alone.heads, 0.25)
    for m in "ab":
        np.testing.assert_array_equal(found.heads[m](X[m]), expected[m](X[m]))
    assert found.n == {"new": 24}
    assert found.result.params["n_train"] == 56 + 60


def test_the_figures_are_those_of_items_that_were_not_trained_on(first: FitResult) -> None:
    X, past = shifted(80, 5), two_views(50, seed=7)
    found = continue_training(first, X, past=(past, None, None), **OPTIONS)
    held = PairData.check(X).split(0.3, np.random.default_rng(0))[1]
    for heads, told in ((first.heads, found.before), (found.heads, found.after)):
        for name, data in (("past", PairData.check(past)), ("new", held)):
            z = {m: heads[m](data.first(m)) for m in "ab"}
            mrr = evaluate_retrieval(z["a"], z["b"], (data.groups, data.groups), ["mrr"])["mrr"]
            assert told[name]["a->b"]["mrr"].value == pytest.approx(mrr.value)
    change = found.changes["past"]["a->b"]["mrr"]
    both = [f["past"]["a->b"]["mrr"].value for f in (found.after, found.before)]
    assert (change.a, change.difference) == ("after", pytest.approx(both[0] - both[1]))
    hits = [np.mean([f["past"][t]["hit@10"].value for t in ("a->b", "b->a")]) for f in (found.after, found.before)]
    assert found.kept is not None
    assert found.kept.value == pytest.approx(hits[0] / hits[1])
    assert found.rotation is not None
    assert found.rotation.modalities["a"].angle.n == found.n["past"] == 50


def test_it_learns_the_new_and_without_going_anywhere_keeps_everything(first: FitResult) -> None:
    X = shifted(300, 5)
    learned = continue_training(first, X, share=1.0, alpha=0.0, **{**OPTIONS, "epochs": 30, "lr": 3e-3})
    assert learned.changes["new"]["a->b"]["mrr"].low > 0
    assert learned.kept is None
    assert learned.rotation is not None
    assert learned.rotation.modalities["a"].angle.n == learned.n["new"]
    still = continue_training(first, X, past=(two_views(60, seed=6), None, None), share=0.0, **OPTIONS)
    assert still.kept is not None
    assert still.kept.value == 1
    assert all(c.difference == 0 for of in still.changes.values() for t in of.values() for c in t.values())


def test_things_that_are_held_out_are_not_remembered_where_both_parts_name_them(first: FitResult) -> None:
    X, old = shifted(60, 5), two_views(60, seed=6)
    names = np.arange(60)
    found = continue_training(first, X, groups=names, memory=(old, None, names), **OPTIONS)
    assert found.result.params["n_train"] == 42 + 42
    apart = continue_training(first, X, memory=(old, None, names), **OPTIONS)
    assert apart.result.params["n_train"] == 42 + 60


def test_a_new_modality_and_missing_ones_are_welcome(first: FitResult) -> None:
    X = {**shifted(100, 5), "c": np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)}
    found = continue_training(first, X, present={"b": np.arange(100) % 3 > 0}, **OPTIONS)
    assert found.heads["c"](X["c"]).shape == (100, 8)
    assert set(found.changes["new"]) == {"a->b", "b->a"}


def test_modalities_that_are_rare_together_have_no_rotation_and_other_errors_are_not_hidden(
    first: FitResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = two_views(30, seed=6)
    there = np.arange(30)
    seldom = {"a": there < 19, "b": there > 11}  # both of 19 and 18 things, 7 of them together
    found = continue_training(first, shifted(60, 5), past=(past, seldom, None), **OPTIONS)
    assert found.rotation is None
    same = {"a": there < 20, "b": there > 9}
    assert continue_training(first, shifted(60, 5), past=(past, same, None), **OPTIONS).rotation is not None

    def broken(*_: Any, **__: Any) -> None:
        raise BadInput("something else")

    monkeypatch.setattr("commonspace.align.continuing.rotation", broken)
    with pytest.raises(BadInput, match="something else"):
        continue_training(first, shifted(60, 5), **OPTIONS)


def test_heads_of_modalities_that_are_not_trained_are_not_dropped_without_a_word(first: FitResult) -> None:
    X = shifted(60, 5)
    heads = {**first.heads, "c": first.heads["a"]}
    with pytest.raises(BadInput, match=r"the heads have 'c' and X has not.*Give X rows of it"):
        continue_training(heads, X, **OPTIONS)
    absent = {**X, "c": np.zeros_like(X["a"])}
    old = two_views(60, seed=6)
    memory = ({**old, "c": old["a"]}, None, None)
    found = continue_training(heads, absent, present={"c": np.zeros(60, bool)}, memory=memory, **OPTIONS)
    assert set(found.heads) == {"a", "b", "c"}
    assert set(continue_training({m: heads[m] for m in X}, X, **OPTIONS).heads) == {"a", "b"}


def test_the_report_reads_well_and_few_items_have_no_rotation(first: FitResult) -> None:
    found = continue_training(first.heads, shifted(20, 5), past=(two_views(9, seed=6), None, None), **OPTIONS)
    assert found.rotation is None
    assert json.loads(json.dumps(found.to_dict()))["n"] == {"new": 6, "past": 9}
    assert str(found).splitlines()[0] == "on 6 held-out new items, after - before"
    assert "kept of the past's hit@10" in str(found)


def test_what_does_not_fit_is_refused(first: FitResult) -> None:
    X = shifted(60, 5)
    with pytest.raises(BadInput, match="heads to go on from"):
        continue_training("heads", X, **OPTIONS)
    with pytest.raises(SpaceMismatch):
        continue_training({"a": first.heads["b"], "b": first.heads["a"]}, X, **OPTIONS)
    with pytest.raises(BadInput, match=r"memory must be \(X, present, groups\)"):
        continue_training(first, X, groups=np.arange(60), memory=5, **OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"past must be \(X, present, groups\), not dict"):
        continue_training(first, X, groups=np.arange(60), past=X, **OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"past must be \(X, present, groups\)"):
        continue_training(first, X, past=(X,), **OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="the memory must have the modalities"):
        continue_training(first, X, memory=({"a": X["a"], "c": X["b"]}, None, None), **OPTIONS)
