"""`interpolate` and `soup`: the two merges that need nothing but the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.merger import merge


def interpolate(a: Any, b: Any, share: float = 0.5, *, unrelated: str = "refuse") -> Any:
    """Return the model at (1 - share) a + share b.

    Parameters
    ----------
    a, b : head, heads, space, torch module, state or path
        Tuned from the same weights.
    share : float
        How much of b, 0 to 1; beyond that see `task-arithmetic`.
    unrelated : {"refuse", "warn", "ignore"}
        What to do about models that do not come from one start.

    Returns
    -------
    model of the kind of a; for two spaces their heads by modality
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise BadInput(f"share must lie between 0 and 1, not {share!r}")
    method = {"name": "soup", "weights": {"a": 1 - share, "b": float(share)}}
    return merge(None, {"a": a, "b": b}, method, unrelated=unrelated).model


def soup(
    models: Mapping[str, Any] | Sequence[Any],
    weights: Mapping[str, float] | Sequence[float] | None = None,
    *,
    unrelated: str = "refuse",
) -> Any:
    """Return the mean of several models, of the kind of the first.

    Parameters
    ----------
    models : mapping or sequence of models
        Tuned from the same weights.
    weights : mapping or sequence of float, optional
        At least 0, brought to a sum of 1; equal by default.
    unrelated : {"refuse", "warn", "ignore"}
        What to do about models that do not come from one start.
    """
    named = dict(models) if isinstance(models, Mapping) else {f"model {i}": m for i, m in enumerate(models)}
    if not named:
        raise BadInput("there is nothing to merge: give at least one model")
    if weights is not None and not isinstance(weights, Mapping):
        if len(weights) != len(named):
            raise BadInput(f"there are {len(weights)} weights for {len(named)} models")
        weights = dict(zip(named, weights, strict=True))
    return merge(None, named, {"name": "soup", "weights": weights}, unrelated=unrelated).model
