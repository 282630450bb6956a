"""`cluster`: batches of items that are unlike one another, or of items that are alike.

In a batch every other item is a negative. Of items that are much alike some are right answers that nobody labelled:
apart, they do no harm. Others are near misses: together, they are the hardest negatives there are. Which of them
outweighs is a matter of the data, so it is one dial. Frozen vectors are clustered once; then, each epoch:

    layout   the clusters in random order, one after another, the items of each in random order
    apart    item p of the layout goes to batch p mod B: of a cluster of m items no batch holds more than ceil(m / B),
             which is the least there can be, and one if m <= B
    whole    the layout is cut into B runs: a cluster lies in one batch, or in as few as its size asks for

`whole` is the share of the clusters, drawn anew each epoch, that are laid out and cut; the others are dealt. Every item
comes once an epoch, in batches whose sizes differ by at most one.

Source: "G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling", whose batches are
`apart`. There the vectors are those of an autoencoder trained for it, here those of the frozen encoders; how ten
clusters fill larger batches it does not say, and the deal is our answer. The other end of the dial is not in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.paper import Paper
from commonspace.core.random import seed_of
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, unit

# Columns that k-means works on; more are first projected onto their principal directions.
MOST_DIM = 64


@register(
    "cluster",
    protocol="Sampler",
    papers=[
        Paper(
            "G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling",
            2020,
            "https://arxiv.org/abs/2009.12007",
        )
    ],
)
class Cluster:
    """Batches with the clusters of frozen vectors dealt apart, or kept whole.

    Parameters
    ----------
    batch_size : int
        The most items a batch holds.
    whole : float
        Share of the clusters that are kept together, 0 to 1.
    clusters : int or (n,) int array, optional
        How many clusters to look for; or the cluster of each item that training was given, where classes are known.
        Default: twice the batch size, and no more than half of the items.
    modality : str, optional
        Whose vectors say what is alike; all of them, side by side, by default.
    """

    def __init__(
        self,
        *,
        batch_size: int = 1024,
        whole: float = 0.0,
        clusters: Any = None,
        modality: str | None = None,
    ) -> None:
        self.batch_size = check_positive("batch_size", batch_size)
        if not 0 <= whole <= 1:
            raise BadInput(f"whole is a share of the clusters, 0 to 1, not {whole!r}")
        if isinstance(clusters, int):
            check_positive("clusters", clusters)
        self.whole = whole
        self.clusters = clusters
        self.modality = modality
        self.labels_: np.ndarray | None = None
        self._together = float("nan")

    def prepare(self, data: Any, rng: np.random.Generator) -> None:
        """Find the clusters of the items that will be sampled.

        Parameters
        ----------
        data : PairData
            The training items.
        rng : numpy Generator
            Where k-means starts.
        """
        if self.clusters is None or isinstance(self.clusters, int):
            k = min(2 * self.batch_size, len(data) // 2) if self.clusters is None else self.clusters
            self.labels_ = _k_means(self._vectors(data), max(1, k), rng)
            return
        given = np.asarray(self.clusters)
        if given.ndim != 1 or given.dtype.kind not in "iu" or (len(data) and len(given) <= data.rows.max()):
            raise BadInput(
                f"clusters must be a number, or one whole number an item given to training, not {given.dtype} "
                f"{given.shape}"
            )
        self.labels_ = np.unique(given[data.rows], return_inverse=True)[1]

    def batches(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the index arrays of one epoch over n items."""
        if self.labels_ is None:
            raise NotFitted("cluster needs prepare(data, rng) before its first batch; fit_heads does that")
        if len(self.labels_) != n:
            raise BadInput(f"cluster was prepared for {len(self.labels_)} items, not for {n}")
        if n == 0:
            return
        count = -(-n // self.batch_size)
        drawn = rng.permutation(n)
        place = rng.permutation(int(self.labels_.max()) + 1)  # of each cluster in the layout
        layout = drawn[np.argsort(place[self.labels_[drawn]], kind="stable")]
        kept = place[self.labels_[layout]] < round(self.whole * len(place))
        batch_of = np.empty(n, np.int64)
        cut = int(kept.sum())
        batch_of[kept] = np.repeat(np.arange(count), [cut // count + (b < cut % count) for b in range(count)])
        # The deal goes on where the larger runs end, so that sizes stay even.
        batch_of[~kept] = np.arange(cut, n) % count
        found = [layout[batch_of == b] for b in range(count)]
        self._together = float(np.mean([_together(self.labels_[batch]) for batch in found]))
        for b in rng.permutation(count):
            yield found[b]

    @property
    def diagnostics(self) -> dict[str, float]:
        """Share of a batch's pairs that are of one cluster, in the last epoch: the false negatives to be expected."""
        return {"same_cluster": self._together}

    def _vectors(self, data: Any) -> np.ndarray:
        """Return (n, d) what says which items are alike; what an item lacks is at the mean."""
        if self.modality is not None and self.modality not in data.X:
            raise BadInput(f"modality is {self.modality!r}, but the training data has {data.modalities}")
        parts = []
        for m in data.modalities if self.modality is None else [self.modality]:
            rows = np.zeros((len(data), data.X[m].shape[2]), np.float32)
            here = data.present[m]
            if here.any():
                first = data.first(m)
                rows[here] = unit(first - first.mean(axis=0))
            parts.append(rows)
        return np.concatenate(parts, axis=1)


def _k_means(X: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning

    if len(X) <= k or k == 1:
        return np.arange(len(X)) if len(X) <= k else np.zeros(len(X), np.int64)
    if min(X.shape) > MOST_DIM:
        X = PCA(MOST_DIM, svd_solver="randomized", random_state=seed_of(rng)).fit_transform(X)
    search = KMeans(k, n_init=1, max_iter=50, random_state=seed_of(rng))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer rows that differ than clusters: then fewer clusters
        found = search.fit_predict(np.ascontiguousarray(X))
    labels: np.ndarray = np.unique(found, return_inverse=True)[1]
    return labels


def _together(labels: np.ndarray) -> float:
    """Return the share of the pairs of a batch that are of one cluster."""
    sizes = np.unique(labels, return_counts=True)[1]
    pairs = len(labels) * (len(labels) - 1)
    return float((sizes * (sizes - 1)).sum() / pairs) if pairs else 0.0
