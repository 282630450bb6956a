"""A batch as it really is, and its directions one item at a time: for losses by positive and negative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from tests.align.conftest import random_views

from commonspace.core.views import Views

# score of each positive, its share of the relevance, scores of the negatives -> loss of the query
OfQuery = Callable[[list[float], list[float], list[float]], float]


def real_views(share: float = 0.7, seed: int = 0, modalities: tuple[str, ...] = ("a", "b", "c")) -> Views:
    """Missing partners, several positives, grades, and a false negative known from one side alone."""
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6])
    views = random_views(10, modalities=modalities, share=share, groups=groups, seed=seed)
    views.relevance[0, 1] = 0.3
    views.relevance[3, 5] = 2.0
    views.relevance[7, 8] = 0.5
    return views


def naive(views: Views, of_query: OfQuery, weight_of: Callable[[str, str], float] = lambda a, b: 1.0) -> float:
    """Mean over pairs of modalities of the weighted mean of both directions of the mean over queries."""
    pairs = []
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            rows = []
            for i in range(len(views)):
                if not views.present[q][i]:
                    continue
                scores: dict[bool, list[float]] = {True: [], False: []}
                grades = []
                for j in range(len(views)):
                    if views.present[g][j]:
                        r = float(views.relevance[i, j])
                        scores[r > 0].append(float(views.z[q][i] @ views.z[g][j]))
                        grades += [r] if r > 0 else []
                if scores[True] and scores[False]:
                    rows.append(of_query(scores[True], [r / sum(grades) for r in grades], scores[False]))
            if rows and weight_of(q, g) > 0:
                ways.append((weight_of(q, g), float(np.mean(rows))))
        if ways:
            pairs.append(sum(w * v for w, v in ways) / sum(w for w, _ in ways))
    return float(np.mean(pairs)) if pairs else 0.0


def checks_gradient(objective: torch.nn.Module, views: Views) -> bool:
    """Whether backward agrees with finite differences, in float64, along random directions."""
    objective.double()

    def f(*rows: torch.Tensor) -> torch.Tensor:
        z = dict(zip(views.z, rows, strict=True))
        out: torch.Tensor = objective(replace(views, z=z))
        return out

    return bool(
        torch.autograd.gradcheck(f, tuple(v.clone().requires_grad_() for v in views.z.values()), fast_mode=True)
    )
