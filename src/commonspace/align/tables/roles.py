"""`Roles`: which part every column of a table plays in training, as data.

Tables spell pairs in many ways: a question and its answer in a nested field, a wrong answer beside it, a grade, a
label, a cell of tags. A recipe says once which is which, and any table with these columns becomes rows that `fit`
takes:

    [sides]                           # what belongs together, one modality each; the first is the anchor
    question = "question"
    answer = "answers.text"           # a dotted path into nested fields
    [negatives]
    answer = ["wrong_1", "wrong_2"]   # columns with wrong answers; a cell may hold a list of them

    roles = Roles.read("faq.toml")    # or Roles(sides={...}), or Roles.of({...})
    train, valid = roles.apply("faq.jsonl").split(0.1)
    space.fit(train.table, group="group", valid=valid.table, **train.options)

A recipe is never executed: a source is a column, a path, a constant, or a column with a transform of a short list.

Source: "tasksource: Structured Dataset Preprocessing Annotations for Frictionless Extreme Multi-Task Learning and
Evaluation". Its recipes serve classifiers with one head a task; these serve pairs, so their roles are other ones.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import Table, read_table

if TYPE_CHECKING:
    from commonspace.align.tables.training_rows import TrainingRows

Source = str | Mapping[str, Any]
SEPARATORS = (",", ";", "|")
OWN_COLUMN = "group"


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise BadInput(f"{cell!r} is not a number") from None


def _split(cell: Any) -> list[str]:
    """Return the parts of a text, by the first separator that it holds."""
    text = str(cell)
    by = next((s for s in SEPARATORS if s in text), None)
    return [part.strip() for part in (text.split(by) if by else [text]) if part.strip()]


def _first(cell: Any) -> Any:
    if isinstance(cell, str) or not isinstance(cell, Sequence):
        raise BadInput(f"{cell!r} is not a list")
    return cell[0] if len(cell) else None


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "strip": lambda cell: str(cell).strip(),
    "lower": lambda cell: str(cell).strip().lower(),
    "number": _number,
    "split": _split,
    "first": _first,
}


@dataclass(frozen=True)
class Roles:
    """Which part every column of a table plays in training.

    A source is the name of a column, a dotted path into a nested one (``"answers.text"``), ``{"column": ...,
    "transform": ...}`` with one of "text", "strip", "lower", "number", "split" and "first", or ``{"constant": ...}``.

    Parameters
    ----------
    sides : mapping of str to source
        Modality -> where its items come from; two or more. A row is one thing seen in all of them; the first is the
        anchor.
    negatives : mapping of str to source or list of sources, optional
        Modality other than the anchor -> wrong items of it; a cell may hold a list.
    label : source, optional
        Rows with one label show the same thing; without it, rows with an equal anchor do.
    score : source, optional
        How well the two sides of the row fit, a number >= 0; 0 makes the second side a wrong item. For two sides.
    tags : source, optional
        A list of labels a row; the more two rows share, the more relevant they are to each other (see `by_sets`).
    where : mapping of str to value or list of values, optional
        Only rows whose column holds this, or one of these.
    name : str
        What the recipe is called, for messages.

    Raises
    ------
    BadInput
        Roles that do not make sense together, or a source that is none.
    """

    sides: Mapping[str, Source]
    negatives: Mapping[str, Any] = field(default_factory=dict)
    label: Source | None = None
    score: Source | None = None
    tags: Source | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.sides, Mapping) or len(self.sides) < 2:
            got = list(self.sides) if isinstance(self.sides, Mapping) else self.sides
            raise BadInput(
                f"{self.called} needs at least two sides that belong together, got {got!r}: "
                'sides={"question": "q", "answer": "a"}; where there is a label only, make it a side'
            )
        if OWN_COLUMN in self.sides:
            raise BadInput(
                f"{self.called} names a side {OWN_COLUMN!r}, which is the column that the rows gain: rename it"
            )
        for name in ("negatives", "where"):
            if not isinstance(getattr(self, name), Mapping):
                raise BadInput(f"{name} of {self.called} must be a mapping, not {getattr(self, name)!r}")
        others = list(self.sides)[1:]
        for m in self.negatives:
            if m not in others:
                raise BadInput(f"{self.called} has negatives of {m!r}; wrong items can be of {' or '.join(others)}")
        if self.score is not None and len(self.sides) != 2:
            raise BadInput(f"a score is of two sides, and {self.called} has {len(self.sides)}: {', '.join(self.sides)}")
        if self.score is not None and self.tags is not None:
            raise BadInput(f"{self.called} has a score and tags; both say how relevant rows are: leave one out")
        for role, source in self.sources():
            _check_source(source, f"{role} of {self.called}")

    @property
    def called(self) -> str:
        """The recipe in the words of a message."""
        return f"the recipe {self.name!r}" if self.name else "the recipe"

    @property
    def anchor(self) -> str:
        """The side that asks."""
        return next(iter(self.sides))

    def sources(self) -> list[tuple[str, Source]]:
        """Return every (role, source) in words that messages use."""
        found: list[tuple[str, Source]] = [(f"the side {m!r}", s) for m, s in self.sides.items()]
        found += [(f"the negatives of {m!r}", s) for m, many in self.negatives.items() for s in listed(many)]
        found += [(f"the {r}", s) for r in ("label", "score", "tags") if (s := getattr(self, r)) is not None]
        return found + [("the filter", c) for c in self.where]

    @classmethod
    def of(cls, recipe: Mapping[str, Any] | Roles) -> Roles:
        """Return the roles that a mapping spells; ``anchor`` and ``positive`` may stand in place of ``sides``."""
        if isinstance(recipe, Roles):
            return recipe
        if not isinstance(recipe, Mapping):
            raise BadInput(f"a recipe is a mapping of roles to columns, not a {type(recipe).__name__}")
        given = dict(recipe)
        short = {side: given.pop(side) for side in ("anchor", "positive") if side in given}
        if short and "sides" in given:
            raise BadInput(f"a recipe has either sides or {' and '.join(short)}, not both")
        if short:
            given["sides"] = short
            if isinstance(given.get("negatives"), str | list | tuple):
                given["negatives"] = {"positive": given["negatives"]}
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise BadInput(f"a recipe has no role {name!r}{near(name, known)}; it has {', '.join(known)}")
        if "sides" not in given:
            raise BadInput("a recipe needs sides: which columns belong together")
        return cls(**given)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Roles:
        """Return the roles of a .toml or .json file."""
        file = Path(path)
        if not file.is_file():
            raise NotFound(f"there is no recipe {file}")
        if file.suffix not in (".toml", ".json"):
            raise BadInput(f"a recipe is a .toml or .json file, not {file.name!r}")
        try:
            text = file.read_text(encoding="utf-8")
            given = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
        except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as e:
            raise BadInput(f"cannot read the recipe {file}: {e}") from None
        return cls.of({"name": file.stem, **given} if isinstance(given, Mapping) else given)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain data without what is empty; `of` reads it back."""
        return {k: v for k, v in asdict(self).items() if v not in (None, {}, "")}

    def check(self, table: Any) -> None:
        """Raise `NotFound` or `BadInput`, naming role and column, unless the table has what the recipe reads."""
        source = read_table(table)
        for role, where in self.sources():
            read_column(source, where, f"{role} of {self.called}")

    def apply(self, table: Any) -> TrainingRows:
        """Return the rows of a table in their roles.

        Raises
        ------
        NotFound, BadInput
            A column that is not there, a cell that a transform cannot take, no row left.
        """
        from commonspace.align.tables.training_rows import training_rows

        return training_rows(self, read_table(table))


def listed(value: Any) -> list[Any]:
    """Return one source or a list of sources as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def near(name: str, known: Sequence[str]) -> str:
    """Return the question whether another name was meant, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_column(table: Table, source: Source, role: str) -> list[Any]:
    """Return (n,) the cells of a source; None where there is nothing.

    Raises
    ------
    NotFound
        Without such a column or path, naming the role and those there are.
    BadInput
        If a transform cannot take a cell, naming the row.
    """
    if isinstance(source, Mapping) and "constant" in source:
        return [source["constant"]] * len(table)
    path = source if isinstance(source, str) else source["column"]
    cells = _along(table, path, role)
    if isinstance(source, str) or source.get("transform") is None:
        return cells
    change, out = TRANSFORMS[source["transform"]], []
    for i, cell in enumerate(cells):
        try:
            out.append(None if cell is None else change(cell))
        except BadInput as e:
            raise BadInput(f"{role}: row {i} of {path!r}: {e}, so that {source['transform']!r} fails") from None
    return out


def _along(table: Table, path: str, role: str) -> list[Any]:
    if path in table:
        return list(table[path])
    head, *rest = path.split(".")
    names = list(table.columns)
    if head not in table or not rest:
        raise NotFound(
            f"{role} reads the column {path!r}, which the table does not have{near(path, names)}; it has "
            f"{', '.join(names) or 'none'}"
        )
    cells, seen = [], False
    for i, cell in enumerate(table[head]):
        for step in rest:
            if cell is None:
                break
            if isinstance(cell, Mapping):
                cell = cell.get(step)
            elif isinstance(cell, list | tuple) and step.isdigit():
                cell = cell[int(step)] if int(step) < len(cell) else None
            else:
                raise BadInput(f"{role}: row {i} of {head!r} has no fields to go on to {step!r}: it is {cell!r}")
        seen |= cell is not None
        cells.append(cell)
    if not seen and cells:
        raise NotFound(f"{role} reads {path!r}, which no row has")
    return cells


def _check_source(source: Any, role: str) -> None:
    if isinstance(source, str) and source:
        return
    if not isinstance(source, Mapping) or set(source) not in ({"constant"}, {"column"}, {"column", "transform"}):
        raise BadInput(
            f'{role} must be a column, {{"column": ..., "transform": ...}} or {{"constant": ...}}, not {source!r}'
        )
    transform = source.get("transform")
    if transform is not None and transform not in TRANSFORMS:
        raise BadInput(f"{role}: there is no transform {transform!r}; there is {', '.join(TRANSFORMS)}")
    if "column" in source and not (isinstance(source["column"], str) and source["column"]):
        raise BadInput(f"{role}: a column is a name, not {source['column']!r}")
