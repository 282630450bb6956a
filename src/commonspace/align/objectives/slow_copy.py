"""What objectives with a slow teacher share: a copy of the heads that follows them by a moving average.

    head' <- decay' head' + (1 - decay') head after every step,   decay' = min(decay, (1 + t) / (10 + t))

The copy sees the undisturbed encoder output x (`Views.frozen`), without dropout; where a batch brings none, its view
of an item is the item's own, without gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.average import Average
from commonspace.core.views import Views


class SlowCopy(nn.Module):
    """Heads, and networks that go with them, followed slowly.

    Parameters
    ----------
    heads : mapping of str to module
        Modality -> head in training.
    projectors : mapping of str to module
        Modality -> network on top of it; empty for none.
    decay : float
        Weight of the past at a step.
    """

    def __init__(
        self, heads: Mapping[str, nn.Module], projectors: Mapping[str, nn.Module] | None = None, *, decay: float
    ) -> None:
        super().__init__()
        # A tuple hides the heads from torch: they are trained with the heads, not as part of an objective.
        self._online = (PerHead(heads, projectors or {}),)
        self._average = Average(self._online[0], kind="ema", decay=decay)
        self.target: Any = self._average.module.eval()

    def follow(self) -> None:
        """Move the copy towards the heads."""
        self._average.follow(self._online[0], 0.0)

    @torch.no_grad()
    def units(self, views: Views, m: str, rows: Tensor) -> Tensor:
        """Return the copy's unit rows of a modality, without gradient: (rows, dim)."""
        found: Tensor = views.z[m][rows].detach()
        if m in views.frozen:
            found = normalize(self.target.heads[m](views.frozen[m][rows]), dim=1)
        return found

    @torch.no_grad()
    def projected(self, views: Views, m: str, rows: Tensor) -> Tensor:
        """Return the same through the copy's projector."""
        out: Tensor = self.target.projectors[m](self.units(views, m, rows))
        return out


class PerHead(nn.Module):
    """Heads and projectors as one module, so that one average follows both."""

    def __init__(self, heads: Mapping[str, nn.Module], projectors: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(heads)
        self.parts = nn.ModuleList([*heads.values(), *projectors.values()])

    @property
    def heads(self) -> dict[str, nn.Module]:
        """Modality -> head."""
        return dict(zip(self.names, self.parts, strict=False))

    @property
    def projectors(self) -> dict[str, nn.Module]:
        """Modality -> projector."""
        return dict(zip(self.names, list(self.parts)[len(self.names) :], strict=True))
