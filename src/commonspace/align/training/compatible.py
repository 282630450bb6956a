"""What `compatibility` of a fit does to its objective: a new space is trained to be comparable with an earlier one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from commonspace.align.training.recipe import Recipe
from commonspace.core.errors import BadInput
from commonspace.core.registry import resolve


def compatible(recipe: Recipe, compatibility: Any, *, old: bool) -> Recipe:
    """Return the recipe with its objective beside, or inside, one that reads vectors in an earlier space.

    Parameters
    ----------
    recipe : Recipe
        Arguments of training, its objective wrapped for prefixes already: only whole vectors stay comparable.
    compatibility : str, mapping, objective or None
        A name of an objective that takes another, as `oca` does, frames that of the recipe; any other, an instance and
        one with a base of its own are added to it. None leaves it as it is.
    old : bool
        Whether there are vectors in an earlier space.

    Raises
    ------
    BadInput
        Without such vectors.
    """
    if compatibility is None:
        return recipe
    if not old:
        raise BadInput(
            "compatibility needs the items' vectors in an earlier space: pass old={modality: rows} to fit_heads, or "
            "compatible_with=old_space to Space.fit"
        )
    spec = dict(compatibility) if isinstance(compatibility, Mapping) else {"name": compatibility}
    if isinstance(spec.get("name"), str):
        wraps = "objective" in inspect.signature(resolve("Objective", spec["name"])).parameters
        if wraps and "objective" not in spec:
            return replace(recipe, objective={**spec, "objective": recipe.objective})
    base = list(recipe.objective) if isinstance(recipe.objective, list | tuple) else [recipe.objective]
    return replace(recipe, objective=[*base, compatibility])
