from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.align.conftest import two_views

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.refinement import figures, refine, uniformity
from commonspace.core.errors import BadInput


def trained(**options: Any) -> FitResult:
    return fit_heads(
        two_views(400), head={"name": "mlp", "hidden": 32}, dim=8, epochs=10, batch_size=100, valid=None, baselines=(),
        **options,
    )  # fmt: skip


def test_it_starts_from_the_heads_as_they_are_and_leaves_them_alone() -> None:
    first, X = trained(), two_views(400)
    prints = {m: h.fingerprint for m, h in first.heads.items()}
    found = refine(first, X, epochs=1, lr=1e-9, batch_size=100)
    for name, before in found.before.items():
        assert found.after[name] == pytest.approx(before, abs=1e-3)
    assert {m: h.fingerprint for m, h in first.heads.items()} == prints
    assert found.held_out
    assert found.n == 40
    assert "held-out" in str(found)


def test_it_narrows_the_gap_and_recall_stays() -> None:
    first, X = trained(objective={"name": "infonce", "temperature": 0.01, "learn_temperature": False}), two_views(400)
    found = refine(first, X, epochs=10, batch_size=100)
    assert found.after["gap"] < found.before["gap"]
    assert found.after["mrr"] > found.before["mrr"] - 0.05


def test_it_takes_heads_alone_missing_items_and_a_seed() -> None:
    first, X = trained(), two_views(400)
    present = {"a": np.arange(400) % 5 != 0}
    one, other = (
        refine(first.heads, X, present=present, valid=None, epochs=1, batch_size=100, random_state=3) for _ in range(2)
    )
    assert one.after == other.after
    assert not one.held_out
    assert one.result.params["objective"]["temperature"] == 0.07


def test_the_temperature_is_that_of_the_training_before() -> None:
    first = trained(objective={"name": "infonce", "temperature": 0.2, "learn_temperature": False})
    found = refine(first, two_views(400), epochs=1, batch_size=100)
    assert found.result.params["objective"]["temperature"] == pytest.approx(0.2)


def test_figures_are_those_of_the_formulas() -> None:
    first, X = trained(), two_views(30, seed=5)
    data = PairData.check(X, {"b": np.arange(30) < 20})
    z, w = first.heads["a"](X["a"]), first.heads["b"](X["b"])
    found = figures(first.heads, data)
    assert found["gap"] == pytest.approx(float(np.sum((z[:20].mean(0) - w[:20].mean(0)) ** 2)), rel=1e-4)
    assert found["alignment"] == pytest.approx(np.mean([np.sum((z[i] - w[i]) ** 2) for i in range(20)]), rel=1e-4)
    each = [np.exp(-2 * np.sum((v - u) ** 2)) for i, u in enumerate(z) for j, v in enumerate(z) if i != j]
    assert uniformity(z) == pytest.approx(np.log(np.mean(each)), rel=1e-4)
    assert uniformity(z[:1]) == 0


def test_heads_of_other_modalities_are_refused() -> None:
    X = two_views(400)
    with pytest.raises(BadInput, match="heads for"):
        refine(trained().heads, {"a": X["a"], "c": X["b"]})
