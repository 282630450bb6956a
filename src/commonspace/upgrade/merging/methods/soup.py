"""`soup`: the weighted mean of models that were tuned from the same weights.

    theta = sum_i w_i theta_i,      w_i >= 0, sum w_i = 1

Two models with weights 1 - share and share are the line between them (`interpolate`), equal weights the uniform soup.

Sources: uniform averages over several runs are those of "Model soups: averaging weights of multiple fine-tuned models
improves accuracy without increasing inference time"; interpolation between tasks and kinds of data as in "UnIVAL".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.upgrade.merging.landscape import Landscape
from commonspace.upgrade.merging.method import Found, Merge, shares
from commonspace.upgrade.merging.vectors import TaskVectors


@register(
    "soup",
    protocol="Merge",
    synonyms=("uniform", "average"),
    papers=[
        Paper("Unified Model for Image, Video, Audio and Language Tasks", 2023, "https://arxiv.org/abs/2307.16184"),
        Paper(
            "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing "
            "inference time",
            2022,
            "https://arxiv.org/abs/2203.05482",
        ),
    ],
    claim="upgrade/interpolation",
)
class Soup(Merge):
    """Weighted mean of the models.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Task -> weight, at least 0, brought to a sum of 1; equal by default.
    """

    needs_base: ClassVar[bool] = False

    def __init__(self, *, weights: Mapping[str, float] | None = None) -> None:
        self.weights = weights

    def __call__(self, vectors: TaskVectors, landscape: Landscape | None, rng: np.random.Generator) -> Found:
        """Return how the models are merged."""
        weights = shares(self.weights, vectors.tasks)
        c = vectors.everywhere(torch.tensor([weights[t] for t in vectors.tasks], dtype=torch.float64))
        return Found(lambda block: vectors.mixed(c, block), weights, shares=weights)
