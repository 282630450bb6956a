"""What `compatibility` of a fit does to its objective: a new space is trained to be comparable with an earlier one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from commonspace.align.training.recipe import Recipe
from commonspace.core.errors import BadInput
from commonspace.core.registry import entries, resolve

_MISSING = object()


def compatible(recipe: Recipe, compatibility: Any, *, old: bool) -> Recipe:
    """Return the recipe with its objective beside, or inside, one that reads vectors in an earlier space.

    Parameters
    ----------
    recipe : Recipe
        Arguments of training, its objective wrapped for prefixes already: only whole vectors stay comparable.
    compatibility : str, mapping, objective or None
        One that takes another, as `oca` does, frames that of the recipe, unless it brings another base of its own; such
        and any other are added to it. The base that the constructor of a class or an instance puts in by itself is none
        of its own, so that ``OCA()`` is ``"oca"``. None leaves it as it is.
    old : bool
        Whether there are vectors in an earlier space.

    Raises
    ------
    BadInput
        Without such vectors; what is no objective, as a list.
    """
    if compatibility is None:
        return recipe
    if not (isinstance(compatibility, str | Mapping) or callable(compatibility)):
        raise BadInput(
            "compatibility is the name of one objective, a mapping with it, or an objective, not "
            f"{compatibility!r:.60}: several go into the objective of the fit itself, as a list"
        )
    if not old:
        raise BadInput(
            "compatibility needs the items' vectors in an earlier space: pass old={modality: rows} to fit_heads, or "
            "compatible_with=old_space to Space.fit"
        )
    spec = _frame(compatibility)
    if spec is not None and spec.get("objective", recipe.objective) == recipe.objective:
        return replace(recipe, objective={**spec, "objective": recipe.objective})
    base = list(recipe.objective) if isinstance(recipe.objective, list | tuple) else [recipe.objective]
    return replace(recipe, objective=[*base, compatibility])


def _frame(compatibility: Any) -> dict[str, Any] | None:
    """Return what takes another objective as a mapping, without a base that nobody asked for; None for all else."""
    if isinstance(compatibility, str | Mapping):
        spec = dict(compatibility) if isinstance(compatibility, Mapping) else {"name": compatibility}
        named = isinstance(spec.get("name"), str)
        return spec if named and _base_of(resolve("Objective", spec["name"])) is not None else None
    cls = compatibility if isinstance(compatibility, type) else type(compatibility)
    entry, base = next((e for e in entries("Objective") if e.cls is cls), None), _base_of(cls)
    if entry is None or base is None:
        return None
    if cls is compatibility:
        return {"name": entry.name}
    arguments = {name: getattr(compatibility, name, _MISSING) for name in inspect.signature(cls).parameters}
    if any(value is _MISSING for value in arguments.values()):
        return None
    if arguments["objective"] == base.default:
        del arguments["objective"]
    return {"name": entry.name, **arguments}


def _base_of(cls: type) -> inspect.Parameter | None:
    """Return the parameter by which an objective takes another."""
    return inspect.signature(cls).parameters.get("objective")
