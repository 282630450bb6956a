"""`linear`: one matrix from the encoder's output to the space: y = W x + b.

The least that can align two encoders, and hard to beat when pairs are few.
"""

from __future__ import annotations

from typing import Unpack

from torch import nn

from commonspace.align.heads.base import HeadInputs, HeadModule
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
    """A linear map into the space."""

    def __init__(self, **inputs: Unpack[HeadInputs]) -> None:
        super().__init__(**inputs)
        self.net = nn.Linear(self.d_in, self.dim)
