"""The figures that training watches: ranks of relevant items in both directions of every pair of modalities.

    rank of a query = 1 + items that are not relevant and score higher than its best relevant item, ties counting half
    mrr = mean of 1 / rank,   r@k = share of queries with rank <= k

Plain figures, cheap enough for every epoch; the report measures the same with intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.align.data import PairData

# Rows of validation data used in an epoch: the standard error of an MRR over 5,000 queries is below 0.007.
LIMIT = 5000
BLOCK = 1024


def ranks(queries: Tensor, gallery: Tensor, query_keys: Tensor, gallery_keys: Tensor) -> Tensor:
    """Return the rank of the best relevant item: (n,) float; inf for a query whose key the gallery lacks.

    Parameters
    ----------
    queries : (n, dim) tensor
        Unit rows.
    gallery : (m, dim) tensor
        Unit rows.
    query_keys, gallery_keys : (n,) and (m,) int64 tensors
        Equal key = relevant.
    """
    found = []
    for start in range(0, len(queries), BLOCK):
        scores = queries[start : start + BLOCK] @ gallery.T
        relevant = query_keys[start : start + BLOCK, None] == gallery_keys[None, :]
        best = scores.masked_fill(~relevant, -torch.inf).max(1, keepdim=True).values
        others = scores.masked_fill(relevant, -torch.inf)
        rank = 1 + (others > best).sum(1) + 0.5 * (others == best).sum(1)
        found.append(rank.float().masked_fill(~relevant.any(1), torch.inf))
    return torch.cat(found) if found else torch.zeros(0)


def retrieval_figures(z: dict[str, Tensor], data: PairData) -> dict[str, float]:
    """Return mrr, r@1 and r@10: the mean over ordered pairs of modalities, then each pair as ``"a->b mrr"``.

    z : modality -> (n, dim) unit rows of the items of `data`.
    """
    keys = torch.from_numpy(data.groups).to(next(iter(z.values())).device)
    figures: dict[str, float] = {}
    for a, b in permutations(z, 2):
        has_a = torch.from_numpy(data.present[a]).to(keys.device)
        has_b = torch.from_numpy(data.present[b]).to(keys.device)
        rank = ranks(z[a][has_a], z[b][has_b], keys[has_a], keys[has_b])
        rank = rank[torch.isfinite(rank)]
        if len(rank):
            figures[f"{a}->{b} mrr"] = float((1 / rank).mean())
            figures[f"{a}->{b} r@1"] = float((rank <= 1).float().mean())
            figures[f"{a}->{b} r@10"] = float((rank <= 10).float().mean())
    means = {
        kind: float(np.mean([v for k, v in figures.items() if k.endswith(f" {kind}")]))
        for kind in ("mrr", "r@1", "r@10")
        if figures
    }
    return {**means, **figures}


def prefix_figures(z: dict[str, Tensor], data: PairData, sizes: Sequence[int]) -> dict[int, dict[str, float]]:
    """Return `retrieval_figures` of the first numbers of every vector, normalised, for each length."""
    return {
        size: retrieval_figures({m: normalize(rows[:, :size], dim=1) for m, rows in z.items()}, data) for size in sizes
    }


def subsample(data: PairData, rng: np.random.Generator, limit: int = LIMIT) -> PairData:
    """Return at most about `limit` items, whole groups at a time."""
    if len(data) <= limit:
        return data
    names = rng.permutation(np.unique(data.groups))
    share = limit / len(data)
    return data.take(np.flatnonzero(np.isin(data.groups, names[: max(2, int(share * len(names)))])))
