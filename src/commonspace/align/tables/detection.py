"""`detect`: which part the columns of a table could play in training, guessed from names and cells.

A guess, with its reason, to start from: what was guessed is a `Roles` that can be written down and corrected. Every
column gets what it holds and, from that and its name, one role:

    side        texts, pictures, vectors: something that an encoder reads
    negatives   the same under a name such as "negative" or "wrong"
    label       few values that come again and again; names such as "label" or "category"; ids that are not unique
                (only with such a name is it what rows show in common, in the guess)
    score       numbers of at least 0 under a name such as "score" or "relevance"
    tags        lists of words
    id          every value once, without words in it
    (nothing)   empty columns, and what no role takes
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.align.tables.roles import Roles
from commonspace.core.errors import BadInput
from commonspace.core.tables import read_table

SAMPLE = 2000  # rows looked at
FEW = 0.2  # share of distinct values below which a text is a label
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
NAMES = {
    "id": {"id", "uuid", "key", "index", "idx", "row", "url", "href"},
    "negatives": {"negative", "negatives", "neg", "wrong", "distractor", "distractors"},
    "score": {"score", "scores", "grade", "relevance", "rating", "similarity", "rel"},
    "label": {"label", "labels", "class", "category", "group", "kind", "type", "topic", "genre"},
    "tags": {"tags", "keywords", "categories", "topics"},
}


@dataclass(frozen=True)
class Seen:
    """What a column is taken for.

    Parameters
    ----------
    column : str
        Its name, or the dotted path of a nested field.
    holds : str
        "text", "image", "vector", "number", "list", "truth value", "nothing" or "something else".
    role : str
        "side", "negatives", "label", "score", "tags", "id" or "".
    why : str
        In words.
    values : int
        Different ones among the texts or numbers looked at.
    named : bool
        Whether its name speaks of the role.
    """

    column: str
    holds: str
    role: str
    why: str
    values: int = 0
    named: bool = False


@dataclass(frozen=True)
class Detected:
    """What was seen in a table.

    Parameters
    ----------
    n : int
        Rows.
    columns : list of Seen
        One a column.
    """

    n: int
    columns: list[Seen]

    def of(self, role: str) -> list[str]:
        """Return the columns of a role."""
        return [c.column for c in self.columns if c.role == role]

    @property
    def roles(self) -> Roles:
        """The guess as a recipe: of several labels the finest; beside a single side, the finest in words is the other.

        A label must say so by its name: a language or a vendor comes again and again, too, and what shares one is not
        the same thing.

        Raises
        ------
        BadInput
            With fewer than two sides; the message says what was seen.
        """
        sides = self.of("side")
        labels = sorted((c for c in self.columns if c.role == "label"), key=lambda c: -c.values)
        names = [c for c in labels if c.holds == "text"]
        if len(sides) == 1 and names:
            sides.append(names[0].column)
            labels.remove(names[0])
        labels = [c for c in labels if c.named]
        if len(sides) < 2:
            seen = ", ".join(f"{c.column} ({c.role or c.holds})" for c in self.columns) or "no column"
            raise BadInput(
                f"{len(sides)} column{'s' * (len(sides) != 1)} of the table can be a side of a pair and two are "
                f"needed; seen: {seen}. If this is wrong, write down the roles and pass them (--roles)"
            )
        wrong, grades = self.of("negatives"), self.of("score") if len(sides) == 2 else []
        return Roles(
            sides={name: name for name in sides},
            negatives={sides[1]: wrong} if wrong else {},
            label=labels[0].column if labels else None,
            score=grades[0] if grades else None,
            tags=None if grades else next(iter(self.of("tags")), None),
        )


def detect(table: Any) -> Detected:
    """Return what the columns of a table are taken for.

    Parameters
    ----------
    table : table-like
        As `read_table` takes it; the first 2,000 rows are looked at.

    Raises
    ------
    BadInput, NotFound
        What cannot be read, or has no rows.
    """
    source = read_table(table)
    if not len(source):
        raise BadInput("the table has no rows")
    part = source.take(np.arange(min(len(source), SAMPLE)))
    found: list[Seen] = []
    for name in part.columns:
        found += _column(name, list(part[name]))
    return Detected(len(source), found)


def _column(name: str, cells: Sequence[Any]) -> list[Seen]:
    filled = [c for c in cells if c is not None and not (isinstance(c, str) and not c.strip())]
    if not filled:
        return [Seen(name, "nothing", "", "every cell is empty")]
    if all(isinstance(c, Mapping) for c in filled) and not _is_picture(filled[0]):
        inner = list(dict.fromkeys(str(k) for c in filled for k in c))
        return [s for k in inner for s in _column(f"{name}.{k}", [c.get(k) for c in filled])]
    holds = _holds(filled)
    role, why = _role(name, holds, filled)
    values = len(set(filled)) if holds in ("text", "number") else 0
    named = _said(name) in ((role, "id") if role == "label" else (role,))
    return [Seen(name, holds, role, why, values, named)]


def _holds(filled: Sequence[Any]) -> str:
    if sum(map(_is_picture, filled)) >= 0.9 * len(filled):
        return "image"
    if all(isinstance(c, str) for c in filled):
        return "text"
    if all(isinstance(c, bool | np.bool_) for c in filled):
        return "truth value"
    if all(isinstance(c, int | float | np.integer | np.floating) for c in filled):
        return "number"
    if all(isinstance(c, list | tuple | np.ndarray) for c in filled):
        if all(len(c) and isinstance(c[0], int | float | np.integer | np.floating) for c in filled):
            return "vector" if len({len(c) for c in filled}) == 1 else "something else"
        return "list" if all(isinstance(v, str) for c in filled for v in c) else "something else"
    return "something else"


def _role(name: str, holds: str, filled: Sequence[Any]) -> tuple[str, str]:
    said = _said(name)
    if holds in ("something else", "truth value"):
        return ("label", "its name says so") if said == "label" else ("", "no role takes such cells")
    if holds == "list":
        return ("negatives", "its name says so") if said == "negatives" else ("tags", "cells are lists of words")
    if holds in ("image", "vector"):
        return ("negatives", "its name says so") if said == "negatives" else ("side", f"an encoder reads {holds}s")
    distinct = len(set(filled))
    if distinct == 1 and len(filled) > 1:
        return "", "the same in every row"
    if holds == "number":
        if said == "score":
            fits = min(filled) >= 0
            return ("score", "its name says so") if fits else ("", "a score must be at least 0, and some are below")
        whole = all(float(c).is_integer() for c in filled)
        if whole and said == "label":
            return "label", f"{distinct:,} values, and its name says so"
        if whole and distinct == len(filled):
            return "id", "every value once"
        return "", "numbers that no name explains"
    if said in ("negatives", "label"):
        return said, "its name says so"
    words = float(np.mean([len(c.split()) for c in filled]))
    if words < 1.5 and distinct == len(filled) and (said == "id" or _coded(filled)):
        return "id", "every value once, and no words"
    if words < 1.5 and said == "id":
        return "label", f"{distinct:,} values in {len(filled):,} rows, and its name says that it names something"
    if distinct <= FEW * len(filled) and words < 4:
        return "label", f"{distinct:,} values in {len(filled):,} rows"
    return "side", f"texts, {distinct:,} different ones in {len(filled):,} rows"


def _said(name: str) -> str:
    """Return the role that the words of a name speak of; "" if none."""
    words = set(re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    return next((role for role, known in NAMES.items() if words & known), "")


def _coded(filled: Sequence[str]) -> bool:
    """Return whether most texts hold a digit, as codes and keys do."""
    return sum(any(ch.isdigit() for ch in c) for c in filled) >= 0.9 * len(filled)


def _is_picture(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.lower().endswith(PICTURES)
    if isinstance(cell, bytes):
        return cell.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"BM"))
    if isinstance(cell, Mapping):
        return {"bytes", "path"} >= set(cell) and bool(cell) and (isinstance(cell.get("bytes"), bytes) or _named(cell))
    if isinstance(cell, np.ndarray):
        return cell.dtype == np.uint8 and cell.ndim in (2, 3)
    return hasattr(cell, "convert") and hasattr(cell, "getbands")  # a PIL image, without loading PIL


def _named(cell: Mapping[str, Any]) -> bool:
    return isinstance(cell.get("path"), str) and cell["path"].lower().endswith(PICTURES)
