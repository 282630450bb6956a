"""Batches with mixtures, as the trainer hands them over, and the loss on them one item at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tests.align.conftest import take
from tests.align.objectives.graded import graded_views, log_softmax

from commonspace.core.views import Mixed, Views


def mixed_views(
    modalities: tuple[str, ...] = ("a", "b"), share: float = 1.0, seed: int = 0, frozen: bool = False
) -> Views:
    """Nine items (see `graded_views`), each modality mixed among the items that have it, some with themselves."""
    return with_mixtures(graded_views(modalities, share, seed, frozen), seed)


def with_mixtures(views: Views, seed: int = 0) -> Views:
    g = torch.Generator().manual_seed(seed + 2)
    n, mixed = len(views), {}
    for m, z in views.z.items():
        here = torch.nonzero(views.present[m]).squeeze(1)
        partner, share = torch.arange(n), torch.ones(n, dtype=z.dtype)
        partner[here] = here[torch.randperm(len(here), generator=g)]
        share[here] = torch.rand(len(here), generator=g, dtype=z.dtype)
        share[here[:2]] = torch.tensor([1.0, 0.0], dtype=z.dtype)[: len(here)]
        rows = torch.nn.functional.normalize(torch.randn(z.shape, generator=g, dtype=z.dtype), dim=1)
        mixed[m] = Mixed(z=rows, partner=partner, share=share)
    return replace(views, mixed=mixed)


def take_mixed(views: Views, index: torch.Tensor) -> Views:
    """The batch of only these items, in this order, in the same mixtures."""
    place = torch.full((len(views),), -1)
    place[index] = torch.arange(len(index))
    mixed = {
        m: Mixed(z=v.z[index], partner=place[v.partner[index]], share=v.share[index]) for m, v in views.mixed.items()
    }
    return replace(take(views, index), mixed=mixed)


def naive_mixed_loss(views: Views, scale: float, only: str | None = None) -> float:
    """Mixtures of one modality (or of each in its turn) meet the items of the other, in both directions."""
    pairs = []
    for a, b in views.pairs():
        ways: dict[tuple[str, str], list[float]] = {(a, b): [], (b, a): []}
        turns = [(a, b), (b, a)] if only is None else [(b, a) if only == b else (a, b)]
        for q, g in turns:
            if q in views.mixed:
                rows, partner, share = (np.asarray(t) for t in vars(views.mixed[q]).values())
            else:
                rows, partner, share = views.z[q].numpy(), np.arange(len(views)), np.ones(len(views))
            asking, there = (np.flatnonzero(views.present[m]) for m in (q, g))
            items = views.z[g].numpy()
            for i in asking:
                log_p = dict(zip(there, log_softmax(scale * items[there] @ rows[i]), strict=True))
                parts = [(i, share[i]), (partner[i], 1 - share[i])]
                losses = [-c * sum(part(views, k, g, j) * log_p[j] for j in there) for k, c in parts]
                if any(c * part(views, k, g, j) > 0 for k, c in parts for j in there):
                    ways[q, g].append(sum(losses))
            for j in there:
                log_p = dict(zip(asking, log_softmax(scale * rows[asking] @ items[j]), strict=True))
                wish = {
                    i: share[i] * part(views, j, q, i) + (1 - share[i]) * part(views, j, q, partner[i]) for i in asking
                }
                if any(w > 0 for w in wish.values()):
                    ways[g, q].append(-sum(w * log_p[i] for i, w in wish.items()))
        found = [float(np.mean(rows)) for rows in ways.values() if rows]
        if found:
            pairs.append(float(np.mean(found)))
    return float(np.mean(pairs)) if pairs else 0.0


def part(views: Views, i: int, m: str, j: int) -> float:
    """Share of item j in the relevance of all that has modality m to item i."""
    total = sum(float(views.relevance[i, k]) for k in range(len(views)) if views.present[m][k])
    return float(views.relevance[i, j]) / total if total > 0 and views.present[m][j] else 0.0
