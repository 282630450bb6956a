"""What `matryoshka` of a fit does to its recipe: the objective is wrapped, and sometimes the head is another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from commonspace.align.objectives.matryoshka import nested_sizes
from commonspace.align.training.recipe import Recipe
from commonspace.core.errors import BadInput


def nested(
    recipe: Recipe, matryoshka: bool | str | Sequence[int] | None, dim: int, *, head_named: bool
) -> tuple[Recipe, tuple[int, ...]]:
    """Return the recipe with its objective wrapped, and the lengths of prefix that are trained.

    Parameters
    ----------
    recipe : Recipe
        Arguments of training.
    matryoshka : bool, "2d", sequence of int or None
        As `fit_heads` takes it.
    dim : int
        Dimension of the space.
    head_named : bool
        Whether the user asked for a head; "2d" brings its own otherwise.

    Raises
    ------
    BadInput
        Sizes that are none, or another word than "2d".
    """
    if matryoshka is None or matryoshka is False:
        return recipe, (dim,)
    if matryoshka == "2d":
        head = recipe.head if head_named else {"name": "residual", "dropout": 0.3}
        return replace(recipe, objective={"name": "starbucks", "objective": recipe.objective}, head=head), (dim,)
    if isinstance(matryoshka, str):
        raise BadInput(f'matryoshka must be True, a list of sizes or "2d", not {matryoshka!r}')
    sizes = nested_sizes(None if matryoshka is True else matryoshka, dim)
    wrapped = {"name": "matryoshka", "objective": recipe.objective, "sizes": sizes}
    return replace(recipe, objective=wrapped), sizes
