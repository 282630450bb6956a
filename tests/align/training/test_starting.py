from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.align.conftest import two_views

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.training.recipe import get_recipe
from commonspace.align.training.starting import started
from commonspace.core.errors import BadInput, SpaceMismatch

OPTIONS: dict[str, Any] = {"valid": None, "baselines": (), "batch_size": 64, "random_state": 0}


@pytest.fixture(scope="module")
def before() -> FitResult:
    return fit_heads(two_views(200), dim=8, epochs=3, **OPTIONS)


@pytest.mark.parametrize("of", ["heads", "result"])
def test_training_goes_on_from_the_heads_given(before: FitResult, of: str) -> None:
    X = two_views(100, seed=1)
    start = before.heads if of == "heads" else before
    after = fit_heads(X, start=start, epochs=1, lr=1e-9, weight_decay=0.0, **OPTIONS)
    for m, head in after.heads.items():
        assert head.dim == 8
        np.testing.assert_allclose(head(X[m]), before.heads[m](X[m]), atol=1e-5)
    learned = fit_heads(X, start=start, epochs=1, **OPTIONS)
    assert not np.allclose(learned.heads["a"](X["a"]), before.heads["a"](X["a"]), atol=1e-3)


def test_a_modality_that_is_new_gets_a_head_of_the_recipe(before: FitResult) -> None:
    X = {**two_views(100, seed=1), "c": np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)}
    after = fit_heads(X, start=before, epochs=1, **OPTIONS)
    assert after.heads["c"](X["c"]).shape == (100, 8)


def test_dropout_is_that_of_the_recipe(before: FitResult) -> None:
    recipe, dim = started(get_recipe("strong"), before, PairData.check(two_views(20)))
    assert dim == 8
    assert {m: h.dropout for m, h in recipe.head.items()} == {"a": 0.3, "b": 0.3}
    plain, _ = started(get_recipe("plain"), before, PairData.check(two_views(20)))
    assert {m: h.dropout for m, h in plain.head.items()} == {"a": 0.0, "b": 0.0}


def test_what_cannot_be_gone_on_from_is_refused(before: FitResult) -> None:
    X = two_views(30)
    other = fit_heads(two_views(60), dim=4, epochs=1, **OPTIONS)
    for start, error, words in (
        ("heads", BadInput, "heads to go on from are those of a fitted space"),
        ({"a": 1}, BadInput, "heads to go on from are those of a fitted space"),
        ({"z": before.heads["a"]}, BadInput, r"start has heads of \['z'\], but X has \['a', 'b'\]"),
        ({"b": before.heads["a"]}, SpaceMismatch, "takes 24 numbers an item, X has 30"),
        ({"a": before.heads["a"], "b": other.heads["b"]}, BadInput, r"dimensions \[4, 8\]"),
    ):
        with pytest.raises(error, match=words):
            fit_heads(X, start=start, epochs=1, **OPTIONS)
