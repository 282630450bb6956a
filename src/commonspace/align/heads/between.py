"""`between`: heads whose numbers lie between those of two, of which one went on from the other.

    every number of a layer:  (1 - share) * old + share * new

Training that goes on moves heads within one valley of the loss, where such a mean is as good a head as its ends: it
forgets less than the new one and has learned more than the old one. Means of heads from different starts are worthless.

Source: "Robust fine-tuning of zero-shot models", 2022, which does it for a whole encoder.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from commonspace.align.forward import Layer, NumpyHead
from commonspace.core.errors import BadInput


def between(old: Mapping[str, NumpyHead], new: Mapping[str, NumpyHead], share: float = 0.5) -> dict[str, NumpyHead]:
    """Return the heads on the way from old to new ones; a modality that is new keeps its head.

    Parameters
    ----------
    old, new : mapping of str to NumpyHead
        Modality -> head; the new one went on from the old one.
    share : float
        How far, 0 to 1.

    Raises
    ------
    BadInput
        Heads of different layers, or a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise BadInput(f"share must lie between 0 and 1, not {share!r}")
    found = dict(new)
    for m in [m for m in new if m in old]:
        layers = _layers(m, old[m].layers, new[m].layers, share)
        found[m] = NumpyHead(layers, d_in=new[m].d_in, dim=new[m].dim)
    return found


def _layers(m: str, old: tuple[Layer, ...], new: tuple[Layer, ...], share: float) -> tuple[Layer, ...]:
    if [_kind(a) for a in old] != [_kind(b) for b in new]:
        raise BadInput(f"the heads of {m!r} have different layers, so that one did not go on from the other")
    return tuple(
        Layer(
            a.op,
            {k: ((1 - share) * v + share * b.arrays[k]).astype(np.float32) for k, v in a.arrays.items()},
            tuple(_layers(m, p, q, share) for p, q in zip(a.branches, b.branches, strict=True)),
            a.eps,
            a.size,
        )
        for a, b in zip(old, new, strict=True)
    )


def _kind(layer: Layer) -> tuple[object, ...]:
    shapes = {k: v.shape for k, v in layer.arrays.items()}
    return layer.op, shapes, len(layer.branches), layer.eps, layer.size
