"""What a search returns: `Hits`, a list of `Hit`, best first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from commonspace.core.tables import Table
from commonspace.search.best import Found
from commonspace.search.explanation import Explanation

_SHOWN = 10  # rows that a printed list of hits shows
_WIDTH = 40  # characters that a printed cell shows


@dataclass(frozen=True)
class Hit:
    """One item found.

    Parameters
    ----------
    id : str or int
        The item.
    score : float
        Cosine between the query and the item's vector, -1 to 1.
    fields : mapping of str to value
        The stored fields; empty if the search was asked to leave them out.
    modality : str
        Which of the item's vectors gave the score.
    side : {"", "native", "bridged"}
        While a collection goes from one space to another: whether that vector is of the new space, or was reached
        through the bridge.
    """

    id: str | int
    score: float
    fields: Mapping[str, Any] = field(default_factory=dict)
    modality: str = ""
    side: str = ""


class Hits(Sequence[Hit]):
    """The items found by one query, best first; behaves like a list.

    Parameters
    ----------
    hits : sequence of Hit
        In order.
    id_name : str
        Name of the id column in tables.
    plan : Explanation, optional
        How they were found.
    """

    def __init__(self, hits: Sequence[Hit] = (), *, id_name: str = "id", plan: Explanation | None = None) -> None:
        self._hits = list(hits)
        self._id_name = id_name
        self.plan = plan

    def __len__(self) -> int:
        return len(self._hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    @overload
    def __getitem__(self, key: int) -> Hit: ...
    @overload
    def __getitem__(self, key: slice) -> Hits: ...
    def __getitem__(self, key: int | slice) -> Hit | Hits:
        """Return one hit, or the hits of a slice."""
        if isinstance(key, slice):
            return Hits(self._hits[key], id_name=self._id_name, plan=self.plan)
        return self._hits[key]

    def __eq__(self, other: object) -> bool:
        return self._hits == (other._hits if isinstance(other, Hits) else other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def ids(self) -> list[str | int]:
        """The ids, best first."""
        return [h.id for h in self._hits]

    @property
    def scores(self) -> list[float]:
        """The scores, falling."""
        return [h.score for h in self._hits]

    def to_table(self, kind: str = "list") -> Any:
        """Return id, ``_score``, ``_modality`` and the fields as a table.

        Parameters
        ----------
        kind : str
            ``"list"`` (of dicts), ``"columns"``, ``"pandas"``, ``"polars"`` or ``"arrow"``.
        """
        names = dict.fromkeys(name for h in self._hits for name in h.fields)
        columns: dict[str, list[Any]] = {
            self._id_name: list(self.ids),
            "_score": self.scores,
            "_modality": [h.modality for h in self._hits],
            **{n: [h.fields.get(n) for h in self._hits] for n in names},
        }
        return Table(columns).to_native(kind)

    def __repr__(self) -> str:
        lines = [f"{len(self)} hit{'' if len(self) == 1 else 's'}"]
        lines += [f"  {h.score:7.4f}  {h.id!r}  {_brief(h.fields)}".rstrip() for h in self._hits[:_SHOWN]]
        if len(self) > _SHOWN:
            lines.append(f"  ... {len(self) - _SHOWN} more")
        return "\n".join(lines)

    def __rich__(self) -> Any:
        """Return the table that rich prints."""
        from rich.table import Table as RichTable
        from rich.text import Text

        names = list(dict.fromkeys(name for h in self._hits for name in h.fields))
        table = RichTable("score", self._id_name, *names, "by")
        for h in self._hits:
            cells = [f"{h.score:.4f}", h.id, *(h.fields.get(n) for n in names), h.modality]
            # Text, because stored values may hold what rich would read as markup.
            table.add_row(*(Text("" if c is None else _cell(c)) for c in cells))
        return table


def to_hits(
    found: Sequence[Found],
    stored: Mapping[int, Mapping[str, Any]],
    id_name: str,
    plan: Explanation | None = None,
) -> Hits:
    """Return what was found as hits; `stored` maps a row to its id and fields."""
    hits = []
    for f in found:
        fields = dict(stored[f.row])
        hits.append(Hit(fields.pop(id_name), f.score, fields, f.modality, f.side))
    return Hits(hits, id_name=id_name, plan=plan)


def _brief(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{n}={_cell(repr(v))}" for n, v in fields.items() if v is not None)


def _cell(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
