"""Near-duplicates: rows that say the same as another row, within a set or between two (a leak from test into train).

Two rows are near-duplicates if their cosine reaches a threshold, and equal if all their numbers are the same as
float32. Groups are the connected components of both relations.

If no threshold is given it is read off the data. Where rows lie as if dropped at random on m dimensions, the distances
d_1 < .. < d_k of a row to its k nearest neighbours satisfy

    P(d_1 < t) = 1 - (1 - (t / d_k)^m)^(k - 1),      (d_{k/2} / d_k)^m has median 1/2,

whatever the density there. So m = ln 2 / median ln(d_k / d_{k/2}), and the threshold is the distance at which, where
rows are dense (the lowest twentieth of d_k), `false` rows of all that were asked are expected to have a neighbour by
chance: t = d_k (false / ((k - 1) rows))^(1/m), with k = 10. Duplicates in groups of less than k change neither d_k nor,
much, m. The threshold is at least a cosine of `least`: what lies nearer than chance is not yet the same. In few
dimensions rows come near by chance, and only very near ones can be called duplicates.

Up to `most` rows all pairs are compared, beyond that the pairs of `most` rows drawn at random with all others. Equal
rows are found by digest, in all rows. The interval of the share is a bootstrap over groups, for other rows of the same
kind beside a set of this size: the larger the set, the more rows have a duplicate.

Source of the law of distances: Facco, d'Errico, Rodriguez and Laio, "Estimating the intrinsic dimension of datasets by
a minimal neighborhood information", 2017, there of d_1 and d_2; the threshold is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive
from commonspace.measure.health.neighbours import nearest
from commonspace.measure.health.streams import Rows
from commonspace.measure.statistics.estimates import Estimate, estimate

_EDGES = 1 << 21  # links held before they are merged into groups
_ASKED = 2000  # rows whose nearest neighbours give the threshold
_NEIGHBOURS = 10
_DENSE = 0.05
_EQUAL = 1e-3  # distance below which float32 cannot tell rows apart
_CLOSEST = 1 - 1e-6  # cosines of float32 unit rows are no more exact than this
_BLOCK = 1024


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows that say the same.

    Parameters
    ----------
    rows : tuple of int
        Rows of X.
    others : tuple of int
        Rows of Y, where two sets are compared.
    """

    rows: tuple[int, ...]
    others: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the rows, ready for JSON."""
        return {"rows": list(self.rows), "others": list(self.others)}


@dataclass(frozen=True)
class Duplicates:
    """Which rows have a near-duplicate.

    Parameters
    ----------
    share : Estimate
        Share of the rows of X that have a near-duplicate (another row of X, or a row of Y).
    equal : Estimate
        Share of the rows of X that have an equal one.
    threshold : float
        Cosine from which on two rows are near-duplicates.
    chosen : {"given", "data"}
        Where the threshold comes from.
    groups : tuple of DuplicateGroup
        The largest ones, largest first.
    n_groups : int
        Groups found in all.
    complete : bool
        Whether all rows of X were compared, not a sample.
    rows : (m,) int64
        Rows to drop: all of a group but its first, or the rows of X that Y has too.
    """

    share: Estimate
    equal: Estimate
    threshold: float
    chosen: str
    groups: tuple[DuplicateGroup, ...]
    n_groups: int
    complete: bool
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the rows to drop, ready for JSON."""
        plain = {name: getattr(self, name) for name in ("threshold", "chosen", "n_groups", "complete")}
        figures = {"share": self.share.to_dict(), "equal": self.equal.to_dict()}
        return {**figures, **plain, "groups": [g.to_dict() for g in self.groups]}

    def __str__(self) -> str:
        how = "" if self.complete else ", of a sample of the rows"
        return (
            f"near-duplicates  {self.share}, cosine of {self.threshold:.4f} or more ({self.chosen})\n"
            f"equal            {self.equal}\n{self.n_groups} groups{how}"
        )


def duplicates(
    X: Any,
    Y: Any = None,
    *,
    threshold: float | None = None,
    least: float = 0.9,
    false: float = 0.05,
    most: int = 20_000,
    show: int = 20,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> Duplicates:
    """Return which rows have a near-duplicate in the same set, or in another one.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) blocks
        Vectors, compared by cosine. Rows that are zero or not finite have no near-duplicates and are left out.
    Y : likewise, optional
        A second set of the same space (X the test items, Y those trained on).
    threshold : float, optional
        Cosine from which on two rows are near-duplicates; read off the data if None.
    least : float
        Lowest threshold that may be read off.
    false : float
        Rows that may be called near-duplicates by chance, by the law above.
    most : int
        Rows of X that are compared with all others.
    show : int
        Groups that are listed.
    resamples : int
        Resamples of the bootstrap.
    confidence : float
        Nominal coverage of the interval.
    random_state : int, Generator or None
        Seed of the sample and the bootstrap.

    Raises
    ------
    BadInput
        No rows, a threshold outside (0, 1], or an iterator, which could be read only once.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise BadInput(f"threshold must be a cosine above 0 and at most 1, not {threshold!r}")
    rng, own = generator(random_state), Y is None
    rows = Rows(X)
    gallery = rows if own else Rows(Y, "Y")
    for r in (rows, gallery):
        r.again("it is compared in several passes")
    digests = _digests(rows)
    other = digests if own else _digests(gallery)
    if rows.n and gallery.n and rows.dim != gallery.dim:
        raise SpaceMismatch(f"X has dimension {rows.dim} and Y has {gallery.dim}: they come from different spaces")
    positions, queries = rows.sample(check_positive("most", most), rng)
    if not len(queries):
        raise BadInput("duplicates needs rows with a direction")
    chosen = "given" if threshold is not None else "data"
    if threshold is None:
        threshold = _threshold(positions, queries, gallery, own, least, false, rng)
    links = _Links(rows.n + (0 if own else gallery.n))
    shift = 0 if own else rows.n
    hit = np.zeros(rows.n, bool)
    is_equal, link, among = _equal(digests, other, own)
    links.add(link[0], link[1] + shift)
    if among is not None:
        links.add(among[0] + shift, among[1] + shift)
    hit |= is_equal
    complete = len(positions) >= rows.n - rows.skipped and most >= rows.n
    for a, b in _near(positions, queries, gallery, threshold, own, complete):
        links.add(a, b + shift)
        hit[a] = True
        if own and complete:
            hit[b] = True
    label = links.labels()
    seed: Any = int(random_state) if isinstance(random_state, int | np.integer) else None
    options: dict[str, Any] = {
        "bounds": (0.0, 1.0), "resamples": resamples, "confidence": confidence,
        "random_state": rng if seed is None else seed, "skipped": rows.skipped,
    }  # fmt: skip
    found = estimate(hit[positions], "share", groups=label[positions], **options)
    equal = estimate(is_equal[positions], "equal", groups=label[positions], **options)
    groups = _groups(label, rows.n)
    drop = np.flatnonzero(hit) if not own else np.sort(np.concatenate([g[1:] for g in groups] or [np.zeros(0, int)]))
    listed = tuple(
        DuplicateGroup(tuple(map(int, g[g < rows.n])), tuple(map(int, g[g >= rows.n] - rows.n))) for g in groups[:show]
    )
    return Duplicates(found, equal, float(threshold), chosen, listed, len(groups), complete, rows=drop)


class _Links:
    """Joins nodes to connected components, in bounded memory: links are merged into labels as they come."""

    def __init__(self, nodes: int) -> None:
        self.label = np.arange(nodes)
        self.pending: list[np.ndarray] = []
        self.held = 0

    def add(self, a: np.ndarray, b: np.ndarray) -> None:
        self.pending.append(np.stack([a, b]))
        self.held += len(a)
        if self.held > _EDGES:
            self.labels()

    def labels(self) -> np.ndarray:
        """Return the component of each node."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if self.pending:
            a, b = self.label[np.concatenate(self.pending, axis=1)]
            n = len(self.label)
            graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(n, n))
            self.label = connected_components(graph, directed=False)[1][self.label]
            self.pending, self.held = [], 0
        return self.label


def _digests(rows: Rows) -> np.ndarray:
    """Return (n,) uint64 digests of the rows as float32; rows without a direction equal nothing."""
    found = [np.zeros(0, np.uint64)]
    for start, block in rows.blocks():
        with np.errstate(over="ignore"):
            single = np.ascontiguousarray(block, dtype=np.float32) + np.float32(0)  # -0.0 becomes 0.0
        fine = np.isfinite(block).all(axis=1) & block.any(axis=1)
        content = [
            row.tobytes() if ok else f"{rows.name} {start + i}".encode()
            for i, (row, ok) in enumerate(zip(single, fine, strict=True))
        ]
        digests = b"".join(hashlib.blake2b(c, digest_size=8).digest() for c in content)
        found.append(np.frombuffer(digests, np.uint64))
    return np.concatenate(found)


def _equal(a: np.ndarray, b: np.ndarray, own: bool) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], Any]:
    """Return (n,) whether a row of X has an equal one, and links to the first equal row of the gallery."""
    values, first, member, count = np.unique(b, return_index=True, return_inverse=True, return_counts=True)
    if own:
        has = count[member] > 1
        return has, (np.flatnonzero(has), first[member[has]]), None
    place = np.minimum(np.searchsorted(values, a), max(len(values) - 1, 0))
    has = values[place] == a if len(values) else np.zeros(len(a), bool)
    shared = np.isin(member, place[has])
    return has, (np.flatnonzero(has), first[place[has]]), (np.flatnonzero(shared), first[member[shared]])


def _threshold(
    positions: np.ndarray, queries: np.ndarray, gallery: Rows, own: bool, least: float, false: float,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Return the cosine from which on chance does not explain a nearest neighbour."""
    asked = np.sort(rng.permutation(len(queries))[:_ASKED])
    cosines, _ = nearest(queries[asked], gallery, _NEIGHBOURS, own=positions[asked] if own else None)
    k = cosines.shape[1] // 2 * 2
    distance = np.sqrt(np.maximum(2 - 2 * cosines[:, :k].astype(np.float64), 0))
    distance = distance[distance[:, -1] > _EQUAL] if k >= 4 else distance[:0]
    if not len(distance):  # too few rows to say, or k copies of each
        return least
    ratio = float(np.median(np.log(distance[:, -1] / np.maximum(distance[:, k // 2 - 1], _EQUAL))))
    per_dimension = ratio / np.log(2)  # 1 / m
    chance = (false / ((k - 1) * len(queries))) ** per_dimension
    return float(np.clip(1 - (np.quantile(distance[:, -1], _DENSE) * chance) ** 2 / 2, least, _CLOSEST))


def _near(
    positions: np.ndarray, queries: np.ndarray, gallery: Rows, threshold: float, own: bool, complete: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of X and of the gallery whose cosine reaches the threshold."""
    for there, block in gallery.unit_blocks():
        for start in range(0, len(queries), _BLOCK):
            here = positions[start : start + _BLOCK]
            if own and complete and len(there) and there[-1] < here[0]:
                continue  # each pair once
            a, b = np.nonzero(queries[start : start + _BLOCK] @ block.T >= threshold - 1e-7)
            a, b = here[a], there[b]
            if own:
                a, b = a[a != b], b[a != b]
            if len(a):
                yield a, b


def _groups(label: np.ndarray, n: int) -> list[np.ndarray]:
    """Return the nodes of each component with more than one, largest first; each has a row of X (the first n nodes)."""
    order = np.argsort(label, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((p for p in pieces if len(p) > 1 and p[0] < n), key=lambda p: (-len(p), p[0]))
