"""What `fit_heads` is given beside the data, checked: what to validate on, encoder outputs side by side, relevance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.relevance import Relevance, from_table
from commonspace.core.blocks import Block
from commonspace.core.errors import BadInput


def split_off(data: PairData, valid: Any, rng: np.random.Generator) -> tuple[PairData, PairData | None]:
    """Return (training, validation or None), checked; `valid` is as `fit_heads` takes it."""
    data.check_trainable()
    if valid is None:
        return data, None
    if isinstance(valid, int | float) and not isinstance(valid, bool):
        training, held = data.split(float(valid), rng)
        training.check_trainable("the training part")
        return training, held
    try:
        other, mask, keys = valid
    except (TypeError, ValueError):
        raise BadInput(f"valid must be (X, present, groups), a fraction or None, not {type(valid).__name__}") from None
    held = PairData.check(other, mask, keys, name="valid X")
    if set(held.X) != set(data.X):
        raise BadInput(f"valid has the modalities {sorted(held.X)}, the training data {sorted(data.X)}")
    for m, v in data.X.items():
        if held.X[m].shape[2] != v.shape[2]:
            raise BadInput(f"{m!r} has dimension {v.shape[2]} in training and {held.X[m].shape[2]} in validation")
    if held.paired_groups() < 2:
        raise BadInput(f"the validation data holds {held.paired_groups()} pairs and at least 2 are needed")
    return data, held


def check_some_old(old: Mapping[str, np.ndarray]) -> None:
    """Raise `BadInput` if there are rows of an earlier space and not one vector among them."""
    if old and not any(rows.any() for rows in old.values()):
        raise BadInput(
            f"old holds no vector of a training item: the rows of {', '.join(map(repr, old))} are all zeros, so "
            "that the earlier space has none of them. Encode the items with it, or leave old out"
        )


def checked_blocks(blocks: Mapping[str, Sequence[int | Block]] | None, data: PairData) -> dict[str, list[Block]]:
    """Return modality -> the encoder outputs in its rows, which together are as wide as these."""
    found = {}
    for m, parts in (blocks or {}).items():
        if m not in data.X:
            raise BadInput(f"blocks names the modality {m!r}, but X has {data.modalities}")
        found[m] = [p if isinstance(p, Block) else Block(p) for p in parts]
        total, dim = sum(p.width for p in found[m]), data.X[m].shape[2]
        if total != dim:
            raise BadInput(f"blocks[{m!r}] sums to {total}, but its rows have dimension {dim}")
    return found


def relevance_function(relevance: Any, n: int) -> Relevance | None:
    """Return relevance as a function of positions, from a function or an (n, n) sparse matrix; None stays None."""
    if relevance is None:
        return None
    if callable(relevance):
        return lambda index: np.asarray(relevance(index))
    from scipy.sparse import csr_array, issparse

    if not issparse(relevance) or relevance.shape != (n, n):
        raise BadInput(f"relevance must be a callable or a ({n}, {n}) SciPy sparse matrix")
    return from_table(csr_array(relevance))
