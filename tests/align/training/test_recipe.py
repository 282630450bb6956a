from __future__ import annotations

import pytest

from commonspace.align.training.augment import Augment
from commonspace.align.training.recipe import RECIPES, Recipe, get_recipe
from commonspace.core.errors import BadInput, NotFound


def test_arguments_override_the_named_recipe_and_none_does_not() -> None:
    found = get_recipe("strong", epochs=3, lr=None)
    assert found.epochs == 3
    assert found.lr == RECIPES["strong"].lr


def test_a_mapping_starts_from_the_recipe_it_names() -> None:
    found = get_recipe({"name": "plain", "lr": 0.5, "augment": {"noise": 0.2}}, lr=0.25)
    assert found.head == "linear"
    assert found.lr == 0.25
    assert found.augment == Augment(noise=0.2)


def test_a_recipe_is_taken_as_it_is() -> None:
    mine = Recipe(epochs=7)
    assert get_recipe(mine) == mine


def test_unknown_names_are_refused_with_what_is_known() -> None:
    with pytest.raises(NotFound, match="plain, strong"):
        get_recipe("weak")
    with pytest.raises(BadInput, match="no argument learning_rate"):
        get_recipe({"learning_rate": 1.0})


@pytest.mark.parametrize(
    "arguments",
    [{"epochs": 0}, {"batch_size": 1}, {"lr": 0.0}, {"weight_decay": -1.0}, {"warmup": 1.0}, {"average": "mean"}],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Recipe(**arguments)
