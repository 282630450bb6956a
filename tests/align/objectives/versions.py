"""Batches with vectors in an earlier space, and new and old directions one item at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from tests.align.objectives.grouped import real_views

from commonspace.core.views import Views

# new modality, old modality, similarity[new item, old item], positions of both that are there -> losses
OfPair = Callable[[np.ndarray, list[int], list[int]], list[float]]


def two_versions(share: float = 0.7, seed: int = 0, modalities: tuple[str, ...] = ("a", "b", "c")) -> Views:
    """Missing partners, several positives, grades; an earlier space without the last modality and with gaps."""
    views = real_views(share, seed, modalities)
    old = {m: views.old[m].clone() for m in modalities[:-1]}
    old["a"][3] = 0  # an item that is there and was never encoded before
    return replace(views, old=old)


def sides(views: Views, pairs: str = "all") -> Iterator[tuple[str, str, np.ndarray, list[int], list[int]]]:
    """Yield new modality, old modality, cosines over the shared numbers, and who is there on either side."""
    for a, b in product(views.z, views.old):
        if pairs == "all" or (a == b) == (pairs == "within"):
            o = views.old[b].detach().numpy()
            g = views.z[a].detach().numpy()[:, : o.shape[1]]
            g = g / np.linalg.norm(g, axis=1, keepdims=True)
            new = [i for i in range(len(views)) if views.present[a][i]]
            old = [i for i in range(len(views)) if views.present[b][i] and o[i].any()]
            yield a, b, g @ o.T, new, old


def only_first_numbers_matter(objective: torch.nn.Module, views: Views) -> bool:
    """Whether the loss stays when the numbers beyond those of the earlier space change (at one length)."""
    size = next(iter(views.old.values())).shape[1]
    scaled = {m: torch.cat([0.5 * z[:, :size], 9 * z[:, size:]], 1) for m, z in views.z.items()}
    return bool(torch.isclose(objective(replace(views, z=scaled)), objective(views)))
