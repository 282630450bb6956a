"""`Report`: what an evaluation or a check-up has to say, as data; pages and JSON documents are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from commonspace.judge.pictures import Picture


@dataclass(frozen=True)
class Case:
    """One item that a person can look at.

    Parameters
    ----------
    item : any
        A text, an image (PIL image, array, bytes of a file), or anything with a readable form.
    caption : str
        What it is called.
    note : str
        Why it is shown: ``"answer 1, score 0.83"``.
    kind : str
        ``"text"``, ``"image"`` or another modality's kind.
    answers : tuple of Case
        Where the item is a query, what it found, best first.
    right : bool, optional
        Whether it is a right answer, where it is one.
    """

    item: Any
    caption: str = ""
    note: str = ""
    kind: str = "text"
    answers: tuple[Case, ...] = ()
    right: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return captions and notes, and the item where it is a text."""
        shown = {"caption": self.caption, "note": self.note, "kind": self.kind, "right": self.right}
        if isinstance(self.item, str):
            shown["item"] = self.item
        return shown | ({"answers": [a.to_dict() for a in self.answers]} if self.answers else {})


@dataclass(frozen=True)
class Sheet:
    """A table of a report.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences
        Cells: text, numbers, `Estimate` or `Comparison` (shown with their interval).
    note : str
        What a reader must know to read it.
    title : str
        What it is called, where a section has several.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    title: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return head and rows, ready for JSON."""
        rows = [[c.to_dict() if hasattr(c, "to_dict") else c for c in row] for row in self.rows]
        return {"head": list(self.head), "rows": rows, "note": self.note, "title": self.title}


@dataclass(frozen=True)
class Section:
    """A part of a report: words, tables, pictures, items.

    Parameters
    ----------
    title : str
    text : str
        Paragraphs, parted by empty lines.
    sheets, pictures, cases : tuples
    flag : bool, optional
        True where something should be done, False where all is well, None where that is no question.
    """

    title: str
    text: str = ""
    sheets: tuple[Sheet, ...] = ()
    pictures: tuple[Picture, ...] = ()
    cases: tuple[Case, ...] = ()
    flag: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        parts = {name: [p.to_dict() for p in getattr(self, name)] for name in ("sheets", "pictures", "cases")}
        return {"title": self.title, "text": self.text, "flag": self.flag, **parts}


@dataclass(frozen=True)
class Report:
    """A page: a verdict in words first, then what it rests on.

    Parameters
    ----------
    title : str
    verdict : str
        One or two sentences.
    sections : sequence of Section
    about : mapping of str to str or number
        What was looked at, when, with which versions and seeds.
    data : mapping
        More for the JSON document that the page does not show.
    """

    title: str
    verdict: str
    sections: Sequence[Section]
    about: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "title": self.title,
            "verdict": self.verdict,
            "about": dict(self.about),
            "sections": [s.to_dict() for s in self.sections],
            **self.data,
        }
