"""What all rank metrics share, and how ``"recall@10"`` becomes one."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import Method
from commonspace.core.registry import build, entry_of, find
from commonspace.core.vectors import check_positive
from commonspace.measure.metrics.ranks import Ranks


class RankMetric(Method):
    """A metric that depends only on where the relevant items stand.

    `statistic` says how values of queries become one number (``"mean"`` or ``"median"``), `bounds` the interval the
    values lie in, if there is one.
    """

    statistic: ClassVar[str] = "mean"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def __call__(self, scores: Any, relevance: Any) -> np.ndarray:
        """Return the value of each query: (q,) float64.

        Parameters
        ----------
        scores : (q, n) array
            Higher is better. Equal scores are ties: the value is the mean over all orders of the tied items.
        relevance : (q, n) array, scipy sparse array or tuple (query_keys, gallery_keys)
            Greater than 0 = relevant.

        Returns
        -------
        (q,) float64
            NaN for queries without a relevant item, which have no value.
        """
        return self.from_ranks(Ranks.of(scores, relevance))

    def from_ranks(self, ranks: Ranks) -> np.ndarray:
        """Return the value of each query from the places of its relevant items: (q,) float64."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The metric as users write it: ``"recall@10"``; other parameters follow in brackets if not the default."""
        entry = entry_of(self)
        params = self.get_params()
        k = params.pop("k", None)
        others = {name: v for name, v in params.items() if v != type(self)().get_params()[name]} if params else {}
        cut = "" if k is None else f"@{k}"
        rest = f" ({', '.join(f'{n}={v}' for n, v in others.items())})" if others else ""
        return (entry.name if entry else type(self).__name__) + cut + rest


def metric(spec: Any) -> Any:
    """Return a metric from its name, with or without a cut-off.

    Parameters
    ----------
    spec : str, mapping or metric
        ``"recall@10"``, ``"mrr"``, ``{"name": "ndcg", "k": 10, "gain": "exponential"}`` or an instance.

    Raises
    ------
    NotFound
        No metric of that name, with the nearest one that there is.
    BadInput
        A cut-off that is not a whole number of at least 1, or that this metric does not take or lacks.
    """
    if not isinstance(spec, str):
        return build("Metric", spec)
    name, at, cut = spec.partition("@")
    find("Metric", name)
    if not at:
        return build("Metric", name)
    if not re.fullmatch(r"[1-9][0-9]*", cut):
        raise BadInput(f"the cut-off of {spec!r} must be a whole number of at least 1, as in {name!r}@10")
    return build("Metric", {"name": name, "k": int(cut)})


def check_cut(name: str, k: Any, *, optional: bool) -> int | None:
    """Return k checked; None is fine where the metric also makes sense on the whole ranking."""
    if k is None:
        if optional:
            return None
        raise BadInput(f"{name} needs a cut-off k: write {name}@10, or k=10")
    return check_positive("k", k)
