"""`TrainingRows`: a table in its roles, as `fit` takes it.

A row of the table is one thing seen in its sides. A wrong item becomes a row of its own with that one side, so that it
is a candidate for everybody and a partner of nobody; `misses` says whose wrong item it is, and batches put the two
together. With scores, row i and row j are relevant to each other by what is known of their crossed pairs,

    S_ij = score(anchor of i, other side of j)
    R_ij = S_ij where the anchors are equal, S_ji where the other sides are, the larger of both elsewhere

because objectives read row i of R in both directions: where one side is the same item twice, the grades that differ are
those of the other side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from commonspace.align.relevance import Relevance, by_sets, from_table, of_rows
from commonspace.align.tables.roles import OWN_COLUMN, Roles, listed, read_column
from commonspace.core.digest import digest
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.tables import Table


class Wrong(NamedTuple):
    """A wrong item: its side, itself, the row of the source that names it, the rows that it is wrong for."""

    side: str
    item: Any
    row: int
    owners: list[int]


@dataclass(frozen=True)
class TrainingRows:
    """Rows in their roles.

    Parameters
    ----------
    roles : Roles
        The recipe.
    table : Table
        One column a side, None where the row does not have it, and the column ``"group"``.
    groups : (n,) int64
        Rows with equal numbers show the same thing.
    rows : (n,) int64
        Where each row stood in the source.
    wrong : (n,) bool
        Rows that are a wrong item of others.
    misses : (n, k) int64 or None
        Rows with wrong items of each row, -1 for none; None where the recipe has none.
    grades : callable or None
        From (batch,) positions to (batch, batch) relevance, if there are scores or tags.
    left_out : dict of str to int
        Reason -> number of rows of the source.
    """

    roles: Roles
    table: Table
    groups: np.ndarray
    rows: np.ndarray
    wrong: np.ndarray
    misses: np.ndarray | None = None
    grades: Relevance | None = None
    left_out: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def present(self) -> dict[str, np.ndarray]:
        """Modality -> (n,) bool: which rows have it."""
        return {m: np.array([cell is not None for cell in self.table[m]], bool) for m in self.roles.sides}

    @property
    def options(self) -> dict[str, Any]:
        """What `fit` needs to know beside the rows: ``relevance`` if graded, ``sampler`` if there are wrong items.

        Positions are those of these rows: `split` first, and give `fit` the validation part by itself.
        """
        found: dict[str, Any] = {}
        if self.grades is not None:
            found["relevance"] = self.grades
        if self.misses is not None:
            found["sampler"] = {"name": "locality", "misses": self.misses}
        return found

    def take(self, index: np.ndarray) -> TrainingRows:
        """Return the rows at these positions, with grades and wrong items of these alone."""
        index = np.asarray(index)
        misses = self.misses
        if misses is not None:
            place = np.full(len(self) + 1, -1)
            place[index] = np.arange(len(index))
            misses = place[misses[index]]  # the last place, which -1 looks up, stays -1
        table = self.table.take(index)
        return replace(
            self, table=table, groups=self.groups[index], rows=self.rows[index], wrong=self.wrong[index],
            misses=misses, grades=of_rows(self.grades, index),
        )  # fmt: skip

    def split(self, share: float = 0.1, *, random_state: RandomState = 0) -> tuple[TrainingRows, TrainingRows]:
        """Return (the rest, `share` of the groups); a wrong item goes with the first row that it is wrong for."""
        if not 0 < share < 1:
            raise BadInput(f"share must lie between 0 and 1, not {share!r}")
        names = np.unique(self.groups[~self.wrong])
        if len(names) < 4:
            raise BadInput(f"{len(names)} groups cannot be split; both parts need at least 2")
        held = generator(random_state).permutation(names)[: min(len(names) - 2, max(2, round(share * len(names))))]
        out = np.isin(self.groups, held)
        if self.misses is not None:
            owner = np.full(len(self), -1)
            for i in np.flatnonzero(~self.wrong)[::-1]:
                owner[self.misses[i][self.misses[i] >= 0]] = i
            out[self.wrong] = out[owner[self.wrong]]
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))

    def __str__(self) -> str:
        right = ~self.wrong
        whole = right & np.logical_and.reduce(list(self.present.values()))
        sizes = np.unique(self.groups[right], return_counts=True)[1]
        words = [f"{right.sum():,} rows of {' and '.join(self.roles.sides)}, {whole.sum():,} of them whole"]
        words.append(f"{len(sizes):,} groups, {np.count_nonzero(sizes > 1):,} of several rows")
        if self.wrong.any():
            words.append(f"{self.wrong.sum():,} wrong items")
        if self.grades is not None:
            words.append("graded by " + ("scores" if self.roles.score is not None else "tags"))
        left = [f"{n:,} {why}" for why, n in (self.left_out or {}).items() if n]
        return "; ".join(words) + (f"; left out: {', '.join(left)}" if left else "")


def training_rows(roles: Roles, table: Table) -> TrainingRows:
    """Return a table in its roles; see `Roles.apply`."""
    me = roles.called
    chosen = _chosen(roles, table)
    part = table.take(chosen)
    sides = {m: _items(part, s, f"the side {m!r} of {me}") for m, s in roles.sides.items()}
    keys = {m: np.array([_key(cell, i) for i, cell in enumerate(cells)], object) for m, cells in sides.items()}
    score = _scores(roles, part, chosen)
    labels = None if roles.label is None else read_column(part, roles.label, f"the label of {me}")
    tags = None if roles.tags is None else _tags(roles, part, chosen)

    empty = np.logical_and.reduce([[cell is None for cell in cells] for cells in sides.values()])
    irrelevant = np.zeros(len(part), bool) if score is None else np.asarray(score == 0) & ~empty
    first = _first_said(keys, labels, irrelevant)
    twice = (first != np.arange(len(part))) & ~empty
    if score is not None:
        np.maximum.at(score, first, score)  # of a pair that is graded several times the best grade counts
    keep = np.flatnonzero(~empty & ~twice & ~irrelevant)
    if len(keep) < 2:
        raise BadInput(f"{me} leaves {len(keep)} rows to learn from, and at least 2 are needed")

    place = {int(row): i for i, row in enumerate(keep)}
    place |= {row: place[f] for row, f in enumerate(first.tolist()) if f in place}  # who repeats a row speaks of it
    wrongs = _wrong_items(roles, part, place) + _judged_wrong(roles, keys, sides, keep, np.flatnonzero(irrelevant))
    mine = {m: k[keep] for m, k in keys.items()}
    extra, misses = _extra_rows(mine, wrongs, len(keep))
    groups = _groups(labels, mine[roles.anchor], keep)
    groups = np.concatenate([groups, int(groups.max()) + 1 + np.arange(len(extra))])
    columns: dict[str, Any] = {
        m: [cells[i] for i in keep] + [item if side == m else None for side, item, _ in extra]
        for m, cells in sides.items()
    }
    total = len(groups)
    grades = None
    if tags is not None:
        grades = by_sets({"tags": [tags[i] for i in keep] + [set()] * len(extra)})
    elif score is not None:
        grades = from_table(_crossed(mine, score[keep], total))
    return TrainingRows(
        roles=roles,
        table=replace(table, columns={**columns, OWN_COLUMN: groups.tolist()}),
        groups=groups,
        rows=np.concatenate([chosen[keep], chosen[np.array([row for _, _, row in extra], np.int64)]]),
        wrong=np.arange(total) >= len(keep),
        misses=misses,
        grades=grades,
        left_out={
            "by the filter": len(table) - len(chosen),
            "empty": int(empty.sum()),
            "said twice": int(twice.sum()),
        },
    )


def _chosen(roles: Roles, table: Table) -> np.ndarray:
    """Return the positions of the rows that the filter lets through."""
    keep = np.ones(len(table), bool)
    for column, wanted in roles.where.items():
        cells = read_column(table, column, f"the filter of {roles.called}")
        keep &= np.array([cell in listed(wanted) for cell in cells], bool)
    if not keep.any():
        raise BadInput(f"{roles.called} leaves no row of {len(table)}: its filter is {dict(roles.where)}")
    return np.flatnonzero(keep)


def _first_said(keys: dict[str, np.ndarray], labels: list[Any] | None, irrelevant: np.ndarray) -> np.ndarray:
    """Return for each row the first that says the same."""
    names = [None] * len(irrelevant) if labels is None else [_key(cell, i) for i, cell in enumerate(labels)]
    said = list(zip(*keys.values(), names, irrelevant.tolist(), strict=True))
    first: dict[Any, int] = {}
    return np.array([first.setdefault(what, i) for i, what in enumerate(said)], np.int64)


def _items(table: Table, source: Any, role: str) -> list[Any]:
    """Return the cells of a side; blank ones are None."""
    return [None if isinstance(c, str) and not c.strip() else c for c in read_column(table, source, role)]


def _key(cell: Any, row: int) -> Any:
    """Return what equal items share; an item whose bytes are not defined is equal to itself alone."""
    if cell is None:
        return ("none", row)
    try:
        return digest(cell)
    except TypeError:
        return ("row", row)


def _scores(roles: Roles, table: Table, rows: np.ndarray) -> np.ndarray | None:
    if roles.score is None:
        return None
    out = np.empty(len(table))
    for i, cell in enumerate(read_column(table, roles.score, f"the score of {roles.called}")):
        try:
            out[i] = float(cell)
        except (TypeError, ValueError):
            out[i] = np.nan
        if not (np.isfinite(out[i]) and out[i] >= 0):
            raise BadInput(f"the score of {roles.called} in row {rows[i]} is {cell!r}: it must be a number >= 0")
    return out


def _tags(roles: Roles, table: Table, rows: np.ndarray) -> list[set[Any]]:
    out = []
    for i, cell in enumerate(read_column(table, roles.tags or "", f"the tags of {roles.called}")):
        if isinstance(cell, str):
            raise BadInput(
                f"the tags of {roles.called} in row {rows[i]} are the text {cell!r}, not a list: "
                'use {"column": ..., "transform": "split"}'
            )
        out.append(set() if cell is None else set(np.asarray(cell, object).ravel().tolist()))
    return out


def _groups(labels: list[Any] | None, anchors: np.ndarray, keep: np.ndarray) -> np.ndarray:
    names = anchors if labels is None else [_key(labels[i], int(i)) for i in keep]
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)


def _wrong_items(roles: Roles, table: Table, place: dict[int, int]) -> list[Wrong]:
    """Return the items of the columns of negatives."""
    found = []
    for m, sources in roles.negatives.items():
        for source in listed(sources):
            cells = read_column(table, source, f"the negatives of {m!r} of {roles.called}")
            for row, cell in enumerate(cells):
                items = [] if cell is None or row not in place else listed(cell)
                found += [Wrong(m, item, row, [place[row]]) for item in items if item is not None and item != ""]
    return found


def _judged_wrong(
    roles: Roles, keys: dict[str, np.ndarray], sides: dict[str, list[Any]], keep: np.ndarray, judged: np.ndarray
) -> list[Wrong]:
    """Return the second sides of rows whose score is zero, wrong for every row with their anchor."""
    if not len(judged):
        return []
    anchor, other = roles.sides
    asking: dict[Any, list[int]] = {}
    for i, row in enumerate(keep):
        asking.setdefault(keys[anchor][row], []).append(i)
    return [
        Wrong(other, sides[other][row], row, asking.get(keys[anchor][row], []))
        for row in judged.tolist()
        if sides[other][row] is not None
    ]


def _extra_rows(
    keys: dict[str, np.ndarray], wrongs: list[Wrong], n: int
) -> tuple[list[tuple[str, Any, int]], np.ndarray | None]:
    """Return the rows to add, (side, item, row of the source), and the near misses of all rows.

    An item that is somebody's right one needs no row of its own.
    """
    if not wrongs:
        return [], None
    known: dict[Any, int] = {}
    for m, column in keys.items():
        for i, key in enumerate(column):
            known.setdefault((m, key), i)
    extra: list[tuple[str, Any, int]] = []
    linked: dict[int, dict[int, None]] = {}
    for m, item, row, owners in wrongs:
        key = (m, _key(item, -1 - len(extra)))
        if key not in known:
            known[key] = n + len(extra)
            extra.append((m, item, row))
        at = known[key]
        linked.setdefault(at, {})[at] = None  # whoever is a miss holds itself, so that its owners are linked to it
        for owner in owners:
            linked.setdefault(owner, {})[at] = None
    most = max(map(len, linked.values()))
    misses = np.full((n + len(extra), most), -1, np.int64)
    for i, own in linked.items():
        misses[i, : len(own)] = list(own)
    return extra, misses


def _crossed(keys: dict[str, np.ndarray], score: np.ndarray, total: int) -> Any:
    """Return R of the module's docstring as a (total, total) sparse matrix."""
    from scipy.sparse import csr_array

    n = len(score)
    a, b = (np.unique([repr(k) for k in column], return_inverse=True)[1] for column in keys.values())
    anchors = csr_array((np.ones(n), (np.arange(n), a)), shape=(n, a.max() + 1))
    others = csr_array((np.ones(n), (np.arange(n), b)), shape=(n, b.max() + 1))
    best: dict[tuple[int, int], float] = {}
    for i, j, s in zip(a.tolist(), b.tolist(), score.tolist(), strict=True):
        best[i, j] = max(s, best.get((i, j), 0.0))
    at = np.array(list(best), np.int64).reshape(-1, 2)
    edges = csr_array((list(best.values()), (at[:, 0], at[:, 1])), shape=(a.max() + 1, b.max() + 1))
    crossed = csr_array(anchors @ edges @ others.T)
    same_anchor, same_other = anchors @ anchors.T, others @ others.T
    one = crossed.multiply(same_anchor)
    other = crossed.T.multiply(same_other)
    larger = crossed.maximum(crossed.T)
    neither = larger - larger.multiply((same_anchor + same_other) > 0)
    grades = csr_array(one.maximum(other) + neither).tocoo()
    return csr_array((grades.data, (grades.row, grades.col)), shape=(total, total))
