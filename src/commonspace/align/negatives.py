"""Negatives made for an item: rows that join each batch of their source, in one modality only.

A batch of n items with k of their negatives becomes a batch of n + k items. The last k are present in the modality they
were made in and in no other, and nothing is relevant to them. So they ask nothing and are found by nobody: to every
objective they are further candidates that are wrong, for all items of the batch as for their source, for which they are
the hardest. The one exception is a negative that says what another item says (its `owner`): it is as relevant as the
owner is.

`commonspace.align.edits` makes such negatives from texts and records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from commonspace.align.data import PairData
from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive, check_vectors


@dataclass(frozen=True)
class Negatives:
    """Rows of one modality that are wrong for their source.

    Parameters
    ----------
    X : (m, d_in) array
        Encoder outputs, as those of the modality.
    source : (m,) int
        Position of the item that each is a negative of; an item may have any number of them.
    owner : (m,) int, optional
        Position of an item for which it is right; -1, the default, for none.
    draws : int
        How many of its negatives an item brings into a batch.
    """

    X: Any
    source: Any
    owner: Any = None
    draws: int = 1


def of_rows(
    given: Mapping[str, Negatives], positions: np.ndarray, n: int
) -> tuple[dict[str, Negatives], dict[str, int]]:
    """Return negatives of the rows of a table as those of some of the rows.

    Parameters
    ----------
    given : mapping of str to Negatives
        Modality -> negatives in positions of the table.
    positions : (m,) int64
        Where each of the rows that are left stood in it.
    n : int
        Rows of the table.

    Returns
    -------
    dict of str to Negatives
        In positions of the rows that are left, without negatives of others. What was right for a row that is gone is
        right for nobody.
    dict of str to int
        Modality -> how many negatives are left out.
    """
    place = np.full(n, -1)
    place[positions] = np.arange(len(positions))
    left, out = {}, {}
    for m, own in given.items():
        X, source, owner = _checked(m, own, n)
        kept = place[source] >= 0
        owner = np.where(owner >= 0, place[owner], -1)
        left[m] = Negatives(X[kept], place[source[kept]], owner[kept], own.draws)
        out[m] = int((~kept).sum())
    return left, out


class Batch(NamedTuple):
    """One batch on the device, as training hands it on.

    Parameters
    ----------
    x, clean : dict of str to (n, d_in) tensor
        Modality -> inputs of the heads, and encoder outputs as they were.
    present : dict of str to (n,) bool tensor
        Modality -> which items have it.
    relevance : (n, n) tensor
        As in `Views`.
    groups : (n,) int64 tensor
        As in `Views`.
    old : dict of str to (n, d_old) tensor
        As in `Views`.
    """

    x: dict[str, Tensor]
    clean: dict[str, Tensor]
    present: dict[str, Tensor]
    relevance: Tensor
    groups: Tensor
    old: dict[str, Tensor]


class Companions:
    """The negatives of the training items, ready to join their batches.

    Parameters
    ----------
    given : mapping of str to Negatives
        Modality -> its negatives; positions are those of what the user passed.
    groups : (n,) int64
        The groups of all that the user passed.
    training : PairData
        What is left of it to train on; negatives of other items are left out.
    rng : numpy Generator
        Which negatives come.
    """

    def __init__(
        self, given: Mapping[str, Negatives], groups: np.ndarray, training: PairData, rng: np.random.Generator
    ) -> None:
        if unknown := sorted(set(given) - set(training.X)):
            raise BadInput(f"negatives names the modality {unknown[0]!r}, but X has {training.modalities}")
        self.tables = {m: _table(m, given[m], groups, training) for m in given}
        self.groups = groups
        self.rows = training.rows
        self.rng = rng

    def join(self, batch: Batch, index: np.ndarray, look_up: Callable[[np.ndarray], Tensor] | None) -> Batch:
        """Return the batch with negatives of its items behind them.

        Parameters
        ----------
        batch : Batch
            The items.
        index : (n,) int64
            Their positions in the training data.
        look_up : callable or None
            From (n,) positions in what the user passed to their (n, n) relevance; None where equal groups say it.
        """
        drawn = {m: table.drawn(index, self.rng) for m, table in self.tables.items()}
        of = np.concatenate([sources for sources, _ in drawn.values()])
        if not len(of):
            return batch
        owner = np.concatenate([self.tables[m].owner[which] for m, (_, which) in drawn.items()])
        n, k, device = len(index), len(of), batch.relevance.device
        x, clean, present = ({m: _longer(v, k) for m, v in part.items()} for part in batch[:3])
        start = n
        for m, (_, which) in drawn.items():
            here = slice(start, start + len(which))
            x[m][here] = clean[m][here] = torch.from_numpy(self.tables[m].X[which]).to(device)
            present[m][here] = True
            start = here.stop
        known = owner >= 0
        owned = torch.from_numpy(np.where(known, self.groups[owner], 0)).to(device)
        told = torch.from_numpy(known).to(device)
        groups = torch.cat([batch.groups, torch.where(told, owned, batch.groups[torch.from_numpy(of).to(device)])])
        if look_up is None:
            relevance = (groups[:, None] == groups[None, :]).to(batch.relevance.dtype)
        else:
            rows = self.rows[index]
            relevance = look_up(np.concatenate([rows, np.where(known, owner, rows[of])]))
        heard = torch.cat([torch.ones(n, dtype=torch.bool, device=device), told])
        old = {m: _longer(v, k) for m, v in batch.old.items()}  # what was made up has no vector in an earlier space
        return Batch(x, clean, present, relevance * (heard[:, None] & heard[None, :]), groups, old)


@dataclass(frozen=True)
class _Table:
    """Negatives in the order of their sources: those of training item i are start[i] to start[i + 1]."""

    X: np.ndarray
    owner: np.ndarray
    start: np.ndarray
    draws: int

    def drawn(self, index: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (place in the batch of each negative's source, position of the negative), none of them twice."""
        first = self.start[index]
        count = self.start[index + 1] - first
        has = np.flatnonzero(count)
        chance = rng.random((len(has), self.draws))
        which = np.unique(first[has, None] + (chance * count[has, None]).astype(np.int64))
        place = np.full(len(self.start) - 1, -1)
        place[index] = np.arange(len(index))
        return place[np.searchsorted(self.start, which, side="right") - 1], which


def _table(m: str, given: Negatives, groups: np.ndarray, training: PairData) -> _Table:
    """Return the checked negatives of a modality whose source is in training."""
    n = len(groups)
    X, source, owner = _checked(m, given, n, dim=training.X[m].shape[2])
    draws = check_positive(f"draws of negatives[{m!r}]", given.draws)
    own = (owner >= 0) & (groups[owner] == groups[source])
    if own.any():
        raise BadInput(
            f"negative {int(own.argmax())} of negatives[{m!r}] belongs to the group of its source: it is a positive, "
            "leave it out"
        )
    place = np.full(n, -1)
    place[training.rows] = np.arange(len(training))
    kept = np.flatnonzero(place[source] >= 0)
    kept = kept[np.argsort(place[source[kept]], kind="stable")]
    count = np.bincount(place[source[kept]], minlength=len(training))
    return _Table(X[kept], owner[kept], np.concatenate([[0], np.cumsum(count)]), draws)


def _checked(m: str, given: Any, n: int, dim: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors, sources and owners of the negatives of a modality, in positions below n."""
    name = f"negatives[{m!r}]"
    if not isinstance(given, Negatives):
        raise BadInput(f"{name} must be Negatives(X, source), not {type(given).__name__}")
    X = check_vectors(given.X, name=name, dim=dim)
    source = _positions(given.source, len(X), 0, n, f"source of {name}")
    no_owner = np.full(len(X), -1)
    owner = no_owner if given.owner is None else _positions(given.owner, len(X), -1, n, f"owner of {name}")
    return X, source, owner


def _positions(value: Any, m: int, least: int, n: int, name: str) -> np.ndarray:
    a = np.asarray(value)
    if a.shape != (m,) or (m and a.dtype.kind not in "iu") or (m and not (least <= a.min() and a.max() < n)):
        raise BadInput(f"{name} must hold {m} positions from {least} to {n - 1}, one a row")
    return a.astype(np.int64)


def _longer(rows: Tensor, k: int) -> Tensor:
    """Return the rows with k rows of zeros behind them."""
    return torch.cat([rows, rows.new_zeros(k, *rows.shape[1:])])
