"""Mean rank variance: whether the same thing is found at the same place whatever view asks for it.

An instance j can be asked for in K views (languages, paraphrases, modalities); r_jk is the rank of the truth for the
query in view k. Then

    MRV = mean over j of  1/K_j sum over k of (r_jk - mean over k of r_jk)^2

0 is perfect: a user of one language is served as well as one of another. It says nothing of how good the ranks are, so
report it beside recall. Ranks far down the list dominate a variance; `cap` counts every rank beyond it as the cap,
which asks about the first pages only.

Source: "Improving the Consistency in Cross-Lingual Cross-Modal Retrieval with 1-to-K Contrastive Learning", 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState
from commonspace.core.vectors import check_positive
from commonspace.measure.statistics.estimates import Estimate, estimate


def mean_rank_variance(
    ranks: Mapping[str, Any],
    *,
    cap: int | None = None,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Estimate:
    """Return the mean over instances of the variance of their rank over the views, with its interval.

    Parameters
    ----------
    ranks : mapping of str to (n,) array or Estimate
        View -> rank of the truth of each of the same n instances, at least 1, NaN where an instance lacks the view.
        ``evaluate_retrieval(..., ["median_rank"])["median_rank"]`` gives them where every query has a relevant item.
    cap : int, optional
        Ranks beyond count as this.
    groups : (n,) array, optional
        Instances of one label are drawn together by the bootstrap.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the interval.
    random_state : int, Generator or None
        Seed of the bootstrap.

    Returns
    -------
    Estimate
        Its `per_query` holds the variance of each instance that has at least two views; `skipped` counts the others.

    Raises
    ------
    BadInput
        Fewer than two views, views of different instances, ranks below 1, no instance with two views.
    """
    table = _table(ranks)
    if cap is not None:
        table = np.minimum(table, check_positive("cap", cap))
    views = np.isfinite(table).sum(axis=0)
    asked = views >= 2
    if not asked.any():
        raise BadInput(f"none of the {table.shape[1]} instances has a rank in two views: a variance needs two")
    variance = np.nanvar(table[:, asked], axis=0)
    return estimate(
        variance,
        "mean_rank_variance" if cap is None else f"mean_rank_variance (cap={cap})",
        resamples=resamples,
        groups=None if groups is None else _groups(groups, len(asked))[asked],
        confidence=confidence,
        skipped=int((~asked).sum()),
        random_state=random_state,
    )


def _table(ranks: Mapping[str, Any]) -> np.ndarray:
    """Return the ranks checked: (views, n) float64, NaN where an instance lacks a view."""
    if not isinstance(ranks, Mapping) or len(ranks) < 2:
        raise BadInput("ranks must map at least two views to the rank of each instance")
    short = [k for k, r in ranks.items() if isinstance(r, Estimate) and r.skipped]
    if short:
        raise BadInput(
            f"the ranks of {short[0]!r} are without {ranks[short[0]].skipped} queries that were left out, so that its "
            "instances are not in step with those of other views: give one rank an instance, NaN where there is none"
        )
    rows = {k: np.asarray(r.per_query if isinstance(r, Estimate) else r, np.float64) for k, r in ranks.items()}
    shapes = {k: r.shape for k, r in rows.items()}
    if len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
        raise BadInput(
            f"every view must have one rank for each of the same instances, got shapes {shapes}; NaN stands for an "
            "instance that lacks the view"
        )
    table = np.stack(list(rows.values()))
    wrong = np.isinf(table) | (table < 1)
    if wrong.any():
        view, instance = np.argwhere(wrong)[0]
        raise BadInput(
            f"ranks are finite and start at 1, but {list(rows)[view]!r} has {table[view, instance]:g} for instance "
            f"{instance}"
        )
    return table


def _groups(groups: Any, n: int) -> np.ndarray:
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise BadInput(f"groups must hold one label for each of the {n} instances, not shape {labels.shape}")
    return labels
