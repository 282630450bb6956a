"""`linear`: one matrix from the encoder's output to the space: y = W x + b.

The least that can align two encoders, and hard to beat when pairs are few.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from commonspace.align.heads.base import HeadModule
from commonspace.core.paper import Paper
from commonspace.core.registry import register


@register(
    "linear",
    protocol="Head",
    claim="align/freeze_align",
    papers=[
        Paper(
            "Learning Transferable Visual Models From Natural Language Supervision",
            2021,
            "https://arxiv.org/abs/2103.00020",
        )
    ],
)
class Linear(HeadModule):
    """A linear map into the space.

    Parameters
    ----------
    d_in, dim, blocks, scaling, weights
        As in `HeadModule`.
    """

    def __init__(
        self,
        *,
        d_in: int,
        dim: int,
        blocks: Sequence[int] | None = None,
        scaling: str | Sequence[str] = "column",
        weights: Sequence[float] | str | None = None,
    ) -> None:
        super().__init__(d_in, dim, blocks, scaling, weights)
        self.net = nn.Linear(d_in, dim)
