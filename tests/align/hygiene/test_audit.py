from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commonspace.align.hygiene.audit import Audit, Columns, shown
from commonspace.core.errors import BadInput


@dataclass(frozen=True)
class Found(Audit):
    odd: list[int]
    n: int

    def table(self, items: Columns | None = None, *, ids: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        ids, columns = shown(self.n, items, ids)
        rows = [{"id": ids[i], **{name: column[i] for name, column in columns.items()}} for i in self.odd]
        return [*rows[:1], *({**row, "again": "yes"} for row in rows[1:])]


def test_an_audit_becomes_a_file_with_every_column_that_occurs(tmp_path: Path) -> None:
    Found([1, 2], 3).to_csv(tmp_path / "a.csv", {"text": ["a", "b, quoted", "c"]}, ids="xyz")
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "id,text,again",
        'y,"b, quoted",',
        "z,c,yes",
    ]


def test_without_names_items_are_shown_by_position() -> None:
    assert Found([2, 0], 3).table() == [{"id": 2}, {"id": 0, "again": "yes"}]


@pytest.mark.parametrize(
    ("items", "ids", "message"),
    [
        ({"text": ["a", "b"]}, None, "'text' has 2 entries for 3 items"),
        (None, "abcd", "'ids' has 4 entries for 3 items"),
    ],
)
def test_columns_of_other_items_are_refused(items: Columns | None, ids: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Found([0], 3).table(items, ids=ids)
