"""`residual`: a stack of residual layers, each of which can be the last.

    h_0 = S x,    h_l = h_{l-1} + W2_l dropout(gelu(W1_l norm(h_{l-1}))),    the vector is h_L

Every h_l lives in the space itself, so a head that was trained for it (`starbucks`, `2d-matryoshka`) can stop after any
layer and keep only the first numbers: `NumpyHead.truncate(layers=2, dim=32)`. This is a Transformer's residual stream
without attention, for inputs that are already one vector.

Source: the heads on frozen input that "Starbucks: Improved Training for 2D Matryoshka Embeddings" and "2D Matryoshka
Sentence Embeddings" need in place of a Transformer.
"""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from commonspace.align.heads.base import HeadInputs, HeadModule, Residual
from commonspace.align.heads.dropout import Dropout
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive


@register(
    "residual",
    protocol="Head",
    synonyms=("layered",),
    claim="align/starbucks",
    papers=[
        Paper("2D Matryoshka Sentence Embeddings", 2024, "https://arxiv.org/abs/2402.14776"),
        Paper("Starbucks: Improved Training for 2D Matryoshka Embeddings", 2024, "https://arxiv.org/abs/2410.13230"),
    ],
)
class ResidualMLP(HeadModule):
    """Residual layers in the space itself, which may be cut after any of them.

    Parameters
    ----------
    layers : int
        Number of residual layers.
    hidden : int
        Width inside a layer.
    dropout : float
        Share of hidden units silenced in training.
    """

    net: nn.Sequential

    def __init__(
        self, *, layers: int = 4, hidden: int = 512, dropout: float = 0.0, **inputs: Unpack[HeadInputs]
    ) -> None:
        super().__init__(**inputs)
        self.layers = check_positive("layers", layers)
        self.hidden = check_positive("hidden", hidden)
        self.dropout = dropout
        d_in, dim = self.d_in, self.dim
        steps = [
            Residual(
                nn.Sequential(
                    nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), Dropout(dropout), nn.Linear(hidden, dim)
                ),
                nn.Identity(),
            )
            for _ in range(layers)
        ]
        self.net = nn.Sequential(nn.Linear(d_in, dim), *steps)

    @property
    def depth(self) -> int:
        """Number of layers the head can end after."""
        return self.layers

    def every_layer(self, x: Tensor) -> list[Tensor]:
        """Return what the head would give if it ended after each layer: depth x (batch, dim), not yet normalised."""
        h = self.net[0](self.standardise(x))
        found = []
        for step in list(self.net)[1:]:
            h = step(h)
            found.append(h)
        return found
