"""Properties of table embeddings: what a vector of a column depends on, and what it should not depend on.

An encoder gives every column of a table a vector. Seven of the eight properties of the source are measured (the eighth,
the stability of entities between two models, is `measure.mutual_knn` of their vectors):

    row order        cosine of a column before and after its rows are shuffled                       1 for sets
    column order     cosine of a column before and after the columns are shuffled                    1 for sets
    spread           Albert and Zhang's coefficient of variation over the shufflings,
                     sqrt(mu' S mu) / (mu' mu)                                                       0 for sets
    join             Spearman correlation of the cosine of two columns of different tables with how much of the smaller
                     one's values the larger one holds                                               high if seen
    dependency       of a pair of columns X -> Y: variance of the step e(y) - e(x) over the pairs of values, of pairs
                     without a dependency less that of pairs with one, over their sum                above 0 if seen
    sample           cosine of a column with a part of its rows (25, 50, 75 %)                       near 1 if faithful
    header           cosine of a column before and after its header is renamed                       1 if unread
    context          cosine of a column within its table and alone                                   1 if unread

High is not good by itself: a table search wants the order unread and the join seen; whether headers and context should
be read depends on the use. `advice` says which figures to mind.

Source: "Observatory: Characterizing Embeddings of Relational Tables" (2023); the dependency is a contrast here, so that
it has a sign, and thresholds are none of the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from itertools import permutations
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.tables import Table, read_table
from commonspace.core.vectors import check_positive, check_vectors, unit
from commonspace.measure import Estimate, estimate
from commonspace.measure.statistics.estimates import draw_counts

#: Header and rows of a table -> (columns, dim) vectors.
Encode = Callable[[list[str], list[list[Any]]], Any]
SHARES = (0.25, 0.5, 0.75)
_PAIRS = 2000


@dataclass(frozen=True)
class TableProperties:
    """What the vectors of columns depend on; every field is an `Estimate`, or None where nothing could be asked.

    Parameters
    ----------
    row_order, column_order, spread, join, dependency, sample_25, sample_50, sample_75, header, context : Estimate
        As defined above; intervals over tables, drawn whole.
    """

    row_order: Estimate
    column_order: Estimate
    spread: Estimate
    join: Estimate | None
    dependency: Estimate | None
    sample_25: Estimate
    sample_50: Estimate
    sample_75: Estimate
    header: Estimate
    context: Estimate

    @property
    def advice(self) -> list[str]:
        """What to mind before the encoder is trusted in search."""
        said = []
        if self.row_order.low < 0.99 or self.column_order.low < 0.99:
            said.append("The order of rows or columns changes the vectors: sort them before encoding.")
        if self.join is not None and self.join.low <= 0:
            said.append("Columns that share values are not shown to lie closer: do not use it to find joins.")
        if self.dependency is not None and self.dependency.low <= 0:
            said.append("Functional dependencies are not shown to leave a trace.")
        if self.sample_25.low < 0.9:
            said.append("A quarter of the rows does not stand for the column: encode more of them.")
        if self.header.low < 0.9:
            said.append("A renamed header moves a column: agree on headers, or leave them out.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**{k: None if e is None else e.to_dict() for k, e in found.items()}, "advice": self.advice}

    def __str__(self) -> str:
        lines = [f"{f.name.replace('_', ' '):<13} {getattr(self, f.name) or 'nothing to ask'}" for f in fields(self)]
        return "\n".join([*lines, *self.advice])


def table_properties(
    encode: Encode,
    tables: Sequence[Any],
    *,
    rename: Callable[[str], str] | Mapping[str, str] | None = None,
    shuffles: int = 5,
    resamples: int = 1000,
    random_state: RandomState = 0,
) -> TableProperties:
    """Return what an encoder of columns depends on.

    Parameters
    ----------
    encode : callable
        Header (list of str) and rows (list of lists) of a table -> (columns, dim) vectors.
    tables : sequence of table-like
        At least three, each with at least four rows; all cells are read as text where values are compared.
    rename : callable or mapping, optional
        Header -> another name for the same; by default the first letters of its words ("unit price" -> "up").
    shuffles : int
        Orders tried of rows and of columns.
    resamples : int
        Resamples of the bootstrap.
    random_state : int, Generator or None

    Raises
    ------
    BadInput
        Fewer than three tables, tables of fewer than four rows, vectors that do not fit the columns.
    """
    given = [_Sheet.of(t, i) for i, t in enumerate(tables)]
    if len(given) < 3:
        raise BadInput(f"properties are averages over tables: give at least three, not {len(given)}")
    check_positive("shuffles", shuffles)
    rng = generator(random_state)
    asked = _Asked(encode)
    base = [asked(t.header, t.rows) for t in given]
    member = np.repeat(np.arange(len(given)), [len(t.header) for t in given])

    def over(name: str, values: list[np.ndarray], bounds: tuple[float, float] = (-1.0, 1.0)) -> Estimate:
        options: dict[str, Any] = {"bounds": bounds, "groups": member, "resamples": resamples, "random_state": 0}
        return estimate(np.concatenate(values), name, **options)

    rows = [[asked(t.header, t.shuffled(rng)) for _ in range(shuffles)] for t in given]
    columns = [[t.turned(asked, rng) for _ in range(shuffles)] for t in given]
    parts = {
        share: [_cosine(z, asked(t.header, t.part(share, rng))) for t, z in zip(given, base, strict=True)]
        for share in SHARES
    }
    new = _renamer(rename)
    renamed = [_cosine(z, asked([new(h) for h in t.header], t.rows)) for t, z in zip(given, base, strict=True)]
    alone = [
        np.concatenate([_cosine(z[[j]], asked([t.header[j]], t.column(j))) for j in range(len(t.header))])
        for t, z in zip(given, base, strict=True)
    ]
    return TableProperties(
        over("row order", [_mean_cosine(z, found) for z, found in zip(base, rows, strict=True)]),
        over("column order", [_mean_cosine(z, found) for z, found in zip(base, columns, strict=True)]),
        over("spread", [_spread([z, *a, *b]) for z, a, b in zip(base, rows, columns, strict=True)], (0.0, np.inf)),
        _join(given, base, resamples, rng),
        _dependency(given, asked, resamples, rng),
        over("sample 25%", parts[0.25]),
        over("sample 50%", parts[0.5]),
        over("sample 75%", parts[0.75]),
        over("header", renamed),
        over("context", alone),
    )


@dataclass(frozen=True)
class _Sheet:
    """A table as text."""

    header: list[str]
    rows: list[list[Any]]

    @classmethod
    def of(cls, source: Any, number: int) -> _Sheet:
        table: Table = read_table(source)
        header = list(table.columns)
        if len(table) < 4 or not header:
            raise BadInput(f"table {number} has {len(table)} rows and {len(header)} columns: give at least 4 and 1")
        cells = [[row[h] for h in header] for row in table.rows()]
        return cls(header, cells)

    def shuffled(self, rng: np.random.Generator) -> list[list[Any]]:
        return [self.rows[i] for i in rng.permutation(len(self.rows))]

    def part(self, share: float, rng: np.random.Generator) -> list[list[Any]]:
        kept = np.sort(rng.permutation(len(self.rows))[: max(1, round(share * len(self.rows)))])
        return [self.rows[i] for i in kept]

    def turned(self, asked: _Asked, rng: np.random.Generator) -> np.ndarray:
        """Return the vectors of the columns encoded in another order, put back in this one."""
        order = rng.permutation(len(self.header))
        found = asked([self.header[j] for j in order], [[row[j] for j in order] for row in self.rows])
        return found[np.argsort(order)]

    def column(self, j: int) -> list[list[Any]]:
        return [[row[j]] for row in self.rows]

    def values(self, j: int) -> list[str]:
        return [str(row[j]) for row in self.rows if row[j] is not None]


@dataclass(frozen=True)
class _Asked:
    """The encoder, its answers checked."""

    encode: Encode

    def __call__(self, header: list[str], rows: list[list[Any]]) -> np.ndarray:
        found = check_vectors(self.encode(header, rows), name="vectors of columns")
        if len(found) != len(header):
            raise BadInput(f"encode gave {len(found)} vectors for {len(header)} columns")
        return found


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    same: np.ndarray = np.einsum("ij,ij->i", unit(a), unit(b)).astype(np.float64)
    return same


def _mean_cosine(z: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    mean: np.ndarray = np.mean([_cosine(z, other) for other in others], axis=0)
    return mean


def _spread(versions: list[np.ndarray]) -> np.ndarray:
    """Return Albert and Zhang's coefficient of variation of each column over its versions."""
    stacked = np.stack(versions).astype(np.float64)
    mean = stacked.mean(axis=0)
    along = np.einsum("vcd,cd->vc", stacked - mean, mean)  # mu' S mu is the variance along mu, times |mu|^2
    size = np.square(mean).sum(axis=1)
    found: np.ndarray = np.sqrt(np.square(along).mean(axis=0)) / np.where(size > 0, size, 1)
    return found


def _join(tables: list[_Sheet], base: list[np.ndarray], resamples: int, rng: np.random.Generator) -> Estimate | None:
    """Return the rank correlation of cosine and containment over pairs of columns of different tables."""
    from scipy.stats import rankdata

    owner = np.repeat(np.arange(len(tables)), [len(t.header) for t in tables])
    z = unit(np.concatenate(base))
    held = [set(t.values(j)) for t in tables for j in range(len(t.header))]
    a, b = np.triu_indices(len(owner), 1)
    apart = np.flatnonzero(owner[a] != owner[b])
    chosen = rng.permutation(apart)[:_PAIRS]
    a, b = a[chosen], b[chosen]
    shared = np.array(
        [len(held[i] & held[j]) / max(1, min(len(held[i]), len(held[j]))) for i, j in zip(a, b, strict=True)]
    )
    cosine = np.einsum("ij,ij->i", z[a], z[b])
    if len(a) < 3 or np.ptp(shared) == 0:
        return None

    def correlation(weights: np.ndarray) -> float:
        x, y = rankdata(cosine), rankdata(shared)
        x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
        scale = np.sqrt((weights * x * x).sum() * (weights * y * y).sum())
        return float((weights * x * y).sum() / scale) if scale > 0 else 0.0

    counts = draw_counts(rng, resamples, len(tables))
    weights = counts[:, owner[a]] * counts[:, owner[b]]
    found = [correlation(w) for w in weights if w.sum() > 0]
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate("join", correlation(np.ones(len(a))), float(low), float(high), n=len(a))


def _contained(a: set[str], b: set[str]) -> float:
    return len(a & b) / max(1, min(len(a), len(b)))


def _dependency(tables: list[_Sheet], asked: _Asked, resamples: int, rng: np.random.Generator) -> Estimate | None:
    """Return how much steadier the step from X to Y is where X determines Y."""
    found: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    cell = lru_cache(maxsize=None)(partial(_cell, asked))
    for number, t in enumerate(tables):
        for i, j in permutations(range(len(t.header)), 2):
            pairs = [(str(row[i]), str(row[j])) for row in t.rows if row[i] is not None and row[j] is not None]
            xs, ys = {x for x, _ in pairs}, {y for _, y in pairs}
            if len(xs) < 2 or len(ys) < 2 or len(xs) == len(pairs):  # a key determines everything, and says nothing
                continue
            steps = [cell(t.header[j], y) - cell(t.header[i], x) for x, y in sorted(set(pairs))]
            found[len(set(pairs)) == len(xs)].append((number, float(np.var(steps, axis=0).sum())))
    if not all(found.values()):
        return None

    def contrast(weights: np.ndarray) -> float:
        means = []
        for kind in (True, False):
            w = np.array([weights[number] for number, _ in found[kind]])
            if w.sum() == 0:
                return float("nan")
            means.append(float(np.average([v for _, v in found[kind]], weights=w)))
        tied, free = means
        return (free - tied) / (free + tied) if free + tied > 0 else 0.0

    draws = np.array([contrast(w) for w in draw_counts(rng, resamples, len(tables))])
    low, high = np.nanquantile(draws, [0.025, 0.975])
    n = sum(map(len, found.values()))
    return Estimate("dependency", contrast(np.ones(len(tables))), float(low), float(high), n=n)


def _cell(asked: _Asked, header: str, value: str) -> np.ndarray:
    vector: np.ndarray = unit(asked([header], [[value]]))[0]
    return vector


def _renamer(rename: Any) -> Callable[[str], str]:
    if callable(rename):
        return rename  # type: ignore[no-any-return]
    if isinstance(rename, Mapping):
        return lambda header: str(rename.get(header, header))
    return lambda header: "".join(word[0] for word in header.replace("_", " ").split()) or header
