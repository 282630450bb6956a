"""From the columns of a table to items by modality and a label a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput
from commonspace.core.tables import Table, beside, none_for_nan
from commonspace.encode.items import item_digest

Label = int | str  # as the user wrote it, or a digest of what is neither


@dataclass(frozen=True)
class Rows:
    """Rows of a table, ready to be encoded.

    Parameters
    ----------
    items : dict of str to list of n items
        Modality -> items; None where the modality is missing.
    labels : (n,) int64
        Rows with equal labels show the same thing.
    positions : (n,) int64
        Where each row stands in the user's table.
    names : dict of int to Label
        Number in `labels` -> the label itself; those of the whole table, and none of rows without one.
    """

    items: dict[str, list[Any]]
    labels: np.ndarray
    positions: np.ndarray
    names: dict[int, Label] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, mask: np.ndarray) -> Rows:
        """Return the rows where a mask is true."""
        where = np.flatnonzero(mask)
        items = {m: [column[i] for i in where] for m, column in self.items.items()}
        return Rows(items, self.labels[where], self.positions[where], self.names)

    def split(self, share: float, rng: np.random.Generator) -> tuple[Rows, Rows | None]:
        """Return (the rest, `share` of the labels drawn at random).

        At least two labels are held out, since one cannot be told from another; None if there are fewer than four.
        """
        if not 0 <= share < 1:
            raise BadInput(f"the share of held-out rows must be from 0 to below 1, not {share}")
        labels = np.unique(self.labels)
        if share == 0 or len(labels) < 4:
            return self, None
        held = np.isin(self.labels, rng.permutation(labels)[: max(2, round(len(labels) * share))])
        return self.take(~held), self.take(held)


def rows_of(
    table: Table, kinds: Mapping[str, str], columns: Mapping[str, str] | None, group: str | Sequence[Any] | None
) -> Rows:
    """Return the rows of a table; `kinds` maps each modality to the kind of its items.

    Without `group`, rows with an equal item in the first modality are the same thing.
    """
    items = {m: items_of(table, m, columns, kind) for m, kind in kinds.items()}
    first = next(iter(kinds))
    labels, names = named_labels(table, group, items[first], kinds[first])
    return Rows(items, labels, np.arange(len(table)), names)


def given(column: Sequence[Any]) -> np.ndarray:
    """Return the positions of items that are not missing."""
    return np.array([i for i, item in enumerate(column) if item is not None], dtype=np.int64)


def column_of(modality: str, columns: Mapping[str, str] | None) -> str:
    """Return the column a modality reads: the one named in `columns`, else the one of its own name."""
    return (columns or {}).get(modality, modality)


def check_columns(columns: Mapping[str, str] | None, modalities: Sequence[str], table: Table) -> None:
    """Raise `BadInput` if `columns` names a modality that is not there, `NotFound` for a column of the table.

    A column that is only meant, by the name of its modality, may be missing; one that was named may not, or else a slip
    of the pen would leave out a modality without a word.
    """
    unknown = sorted(set(columns or {}) - set(modalities))
    if unknown:
        raise BadInput(f"columns names the unknown modality {unknown[0]!r}; there is {', '.join(modalities)}")
    for name in (columns or {}).values():
        table[name]


def items_of(table: Table, modality: str, columns: Mapping[str, str] | None, kind: str) -> list[Any]:
    """Return one item a row, None where the modality is missing.

    A relative path of an image that does not exist as it is, is looked up beside the table's own file.
    """
    values = list(table[column_of(modality, columns)])
    if kind != "image" or table.base is None:
        return values
    return [beside(v, table.base) for v in values]


def labels_of(table: Table, group: str | Sequence[Any] | None, items: Sequence[Any], kind: str) -> np.ndarray:
    """Return an integer label a row: rows with equal labels show the same thing.

    Parameters
    ----------
    table : Table of n rows
    group : str, sequence of n labels, or None
        Column or labels; None labels a row by its item in `items`, so that equal items are one thing. A row whose label
        is None or NaN is a thing of its own.
    items : sequence of n items
        Used where `group` is None; a missing item makes its row a thing of its own.
    kind : str
        Kind of the items.

    Returns
    -------
    (n,) int64
    """
    return named_labels(table, group, items, kind)[0]


def named_labels(
    table: Table, group: str | Sequence[Any] | None, items: Sequence[Any], kind: str
) -> tuple[np.ndarray, dict[int, Label]]:
    """Return what `labels_of` returns, and the label or the digest of the item that each number stands for."""
    values: list[Any] = []
    if group is None:
        keys = [("row", i) if item is None else _content(item, kind, i) for i, item in enumerate(items)]
    else:
        values = [none_for_nan(v) for v in (table[group] if isinstance(group, str) else group)]
        if len(values) != len(table):
            raise BadInput(f"group has {len(values)} labels for {len(table)} rows")
        keys = [("row", i) if v is None else ("label", digest(v)) for i, v in enumerate(values)]
    codes: dict[Any, int] = {}
    labels = np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.int64)
    names = {code: key for (what, key), code in codes.items() if what != "row"}
    for code, value in zip(labels.tolist(), values, strict=False):
        if isinstance(value, str) or (isinstance(value, int | np.integer) and not isinstance(value, bool)):
            names[code] = str(value) if isinstance(value, str) else int(value)
    return labels, names


def _content(item: Any, kind: str, row: int) -> tuple[str, Any]:
    try:
        return "item", item_digest(item, kind)
    except (BadInput, OSError):
        return "row", row  # an unreadable item is reported where it is encoded
