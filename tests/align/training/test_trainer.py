from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from commonspace.align.training.recipe import Recipe
from commonspace.align.training.trainer import head_spec, learning_rate_factor
from commonspace.core.errors import BadInput


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(warmup=0.2)
    steps = np.linspace(0, 1, 51)
    factors = [learning_rate_factor(a, b, recipe) for a, b in pairwise(steps)]
    assert factors[0] == pytest.approx(0.1)
    assert int(np.argmax(factors)) in (9, 10)
    assert max(factors) == pytest.approx(1, abs=0.01)
    assert 0 < factors[-1] < 0.01
    assert all(a > b for a, b in pairwise(factors[10:]))


def test_a_constant_schedule_without_warmup_stays() -> None:
    recipe = Recipe(warmup=0.0, schedule="constant")
    assert {learning_rate_factor(a / 10, (a + 1) / 10, recipe) for a in range(10)} == {1.0}


def test_a_head_is_for_all_or_named_by_modality() -> None:
    assert head_spec({"name": "mlp"}, "a") == {"name": "mlp"}
    assert head_spec({"a": "linear", "b": "mlp"}, "b") == "mlp"
    with pytest.raises(BadInput, match="not 'c'"):
        head_spec({"a": "linear"}, "c")
