"""`several`: a few heads of one modality side by side, each with a part of the numbers, trained by one objective.

    y = [h_1(x) / |h_1(x)|, ..., h_C(x) / |h_C(x)|] / sqrt(C)

A dot product of two such rows is the mean of the heads' cosines, so that search needs to know nothing of it. Objectives
that compare items head by head (`amcl`) find head c in the c-th part of a vector.

Source: the projection heads of "Adaptive Multi-head Contrastive Learning".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.forward import Layer, NumpyHead
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.registry import build, register
from commonspace.core.vectors import check_positive

AMCL = Paper("Adaptive Multi-head Contrastive Learning", 2024, "https://arxiv.org/abs/2310.05615")


@register("several", protocol="Head", synonyms=("multi-head",), claim="align/amcl", papers=[AMCL])
class Several(nn.Module):
    """Several heads side by side, each on a part of the dimensions.

    Parameters
    ----------
    d_in, dim : int
        Dimension of the input and of the space; the parts are as equal as can be, the first ones larger.
    heads : int
        How many.
    head : str or mapping
        What each of them is.
    blocks, scaling
        As in `HeadModule`; every head gets them.
    """

    def __init__(
        self,
        *,
        d_in: int,
        dim: int,
        heads: int = 3,
        head: Any = "mlp",
        blocks: Sequence[int] | None = None,
        scaling: str | Sequence[str] = "column",
    ) -> None:
        super().__init__()
        self.d_in = check_positive("d_in", d_in)
        self.dim = check_positive("dim", dim)
        self.heads = check_positive("heads", heads)
        if heads > dim:
            raise BadInput(f"{heads} heads need at least as many dimensions, and dim is {dim}")
        self.head = head
        self.blocks = blocks
        self.scaling = scaling
        self._list = nn.ModuleList(
            copy.deepcopy(build("Head", head, d_in=d_in, dim=len(part), blocks=blocks, scaling=scaling))
            for part in np.array_split(np.arange(dim), heads)
        )

    @property
    def parts(self) -> list[Any]:
        """The heads, in the order of their parts of a row."""
        return list(self._list)

    def calibrate(self, X: np.ndarray) -> None:
        """Learn every head's standardisation from training features X (n, d_in)."""
        for part in self.parts:
            if hasattr(part, "calibrate"):
                part.calibrate(X)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, dim) unit rows."""
        return torch.cat([normalize(part(x), dim=1) for part in self.parts], 1) / math.sqrt(self.heads)

    def to_numpy(self) -> NumpyHead:
        """Return the torch-free forward pass."""
        layer = Layer("concat", branches=tuple(part.to_numpy().layers for part in self.parts))
        return NumpyHead([layer], d_in=self.d_in, dim=self.dim)
