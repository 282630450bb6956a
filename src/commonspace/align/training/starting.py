"""What `start` of a fit does: training goes on from heads there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from commonspace.align.data import PairData
from commonspace.align.forward import heads_of
from commonspace.align.heads.reopened import Reopened
from commonspace.align.training.recipe import Recipe
from commonspace.align.training.trainer import head_spec
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.protocols import Encoder
from commonspace.core.registry import name_of


def started(recipe: Recipe, start: Any, data: PairData) -> tuple[Recipe, int]:
    """Return the recipe with heads that go on from those given, and their dimension.

    Parameters
    ----------
    recipe : Recipe
        Its head is that of modalities that `start` lacks; the share of dropout it names, if any, is that of all.
    start : mapping of str to NumpyHead, or anything with such `heads`
        A fitted space, or the result of a fit.
    data : PairData
        What is trained on.

    Raises
    ------
    BadInput
        What holds no heads, of no modality of the data, or of several dimensions.
    SpaceMismatch
        A head of other encoder outputs.
    """
    heads = heads_of(start)
    known = {m: h for m, h in heads.items() if m in data.X}
    if not known:
        raise BadInput(f"start has heads of {sorted(heads)}, but X has {data.modalities}")
    for m, head in known.items():
        if head.d_in != data.X[m].shape[2]:
            raise SpaceMismatch(
                f"the head of {m!r} to start from takes {head.d_in} numbers an item, X has {data.X[m].shape[2]}: "
                "encode with the encoders that it was trained on"
            )
    dims = {h.dim for h in known.values()}
    if len(dims) > 1:
        raise BadInput(f"the heads to start from must be of one space, not of the dimensions {sorted(dims)}")
    spec = {m: head_spec(recipe.head, m) for m in data.modalities}
    dropout = {m: float(s.get("dropout", 0.0)) if isinstance(s, Mapping) else 0.0 for m, s in spec.items()}
    goes_on = {m: Reopened(known[m], dropout=dropout[m]) if m in known else s for m, s in spec.items()}
    return replace(recipe, head=goes_on), dims.pop()


def check_encoders(start: Any, encoders: Mapping[str, Sequence[Encoder]]) -> None:
    """Raise `SpaceMismatch` unless these encoders can be those of the heads to start from.

    None may have to learn first, and where `start` is a space they must be its own.
    """
    theirs = getattr(start, "encoders", {})
    for m, own in encoders.items():
        learning = [name_of(e) for e in own if e.needs_fit]
        changed = m in theirs and [e.fingerprint for e in own] != [e.fingerprint for e in theirs[m]]
        if learning or changed:
            what = f"{learning[0]!r}, which has not learned yet" if learning else "others"
            raise SpaceMismatch(
                f"heads to start from belong to the encoders they were trained on, but {m!r} has {what}: make the new "
                "space of the old one's, Space(old.encoders)"
            )
