"""What objectives on heads with several layers share: cutting a batch to (layers, numbers) of every modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def depth_of(heads: Mapping[str, Any]) -> int:
    """Return the number of layers of the heads that have several; 1 if none has.

    Raises
    ------
    BadInput
        If heads have different numbers of layers: layer 2 of one would be trained with layer 2 of another depth.
    """
    depths = {m: int(head.depth) for m, head in heads.items() if hasattr(head, "every_layer")}
    if len(set(depths.values())) > 1:
        raise BadInput(f"heads that are cut together must have one number of layers, not {depths}")
    return next(iter(depths.values()), 1)


def cut(views: Views, layer: int, size: int) -> Views:
    """Return the batch as heads cut after `layer` (from 0) to `size` numbers give it, normalised.

    A modality whose head has no layers is cut to `size` alone.
    """
    rows = {m: views.layers[m][layer] if m in views.layers else z for m, z in views.z.items()}
    return replace(views, z={m: normalize(z[:, :size], dim=1) for m, z in rows.items()}, layers={}, mixed={})


def stacked(views: Views) -> Tensor | None:
    """Return the present rows of all modalities below one another, or None if there are none."""
    rows = [z[views.present[m]] for m, z in views.z.items()]
    return torch.cat(rows) if any(len(r) for r in rows) else None
