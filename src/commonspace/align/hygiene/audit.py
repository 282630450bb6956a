"""Audits of training data: rows that a person can read, also as a file for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from commonspace.core.errors import BadInput

Columns = Mapping[str, Sequence[Any]]


class Audit:
    """Base of findings that a person may want to check one by one."""

    def table(self, items: Columns | None = None, *, ids: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return one row a finding; subclasses say which and in which order.

        Parameters
        ----------
        items : mapping of str to sequence of n, optional
            Columns to be shown beside the verdicts.
        ids : sequence of n, optional
            Names of the items; positions by default.
        """
        raise NotImplementedError

    def to_csv(self, path: str | Path, items: Columns | None = None, **options: Any) -> None:
        """Write the audit as a file for a spreadsheet; `options` are those of `table`."""
        rows = self.table(items, **options)
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)


def shown(n: int, items: Columns | None, ids: Sequence[Any] | None) -> tuple[Sequence[Any], Columns]:
    """Return the names of n items and the columns to be shown of them.

    Raises
    ------
    BadInput
        If names or a column are not one an item: rows would show what belongs to others.
    """
    columns = dict(items or {})
    for name, column in {**columns, **({} if ids is None else {"ids": ids})}.items():
        if len(column) != n:
            raise BadInput(f"{name!r} has {len(column)} entries for {n} items that were judged: pass one an item")
    return range(n) if ids is None else ids, columns
