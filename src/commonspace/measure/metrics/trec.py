"""Runs and judgements in the form of TREC: files, tables and dicts, in and out.

A run says what a system found, qrels say what is relevant, both by query id:

    run      {"q1": {"doc3": 12.5, "doc7": 11.0}, ...}      file: q1 Q0 doc3 1 12.5 name      (score decides, not rank)
    qrels    {"q1": {"doc3": 2, "doc9": 0}, ...}            file: q1 0 doc3 2                 (0 and less: not relevant)

Files are read with any white space between the columns, and as gzip if the name ends in .gz. Tables have the columns
query_id, doc_id and score or relevance; the names that PyTerrier uses (qid, docno, score, label) are understood too.
What a search returned can stand in a run as it is: anything with `ids` and `scores`.
"""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import Table, read_table

Run = dict[Any, dict[Any, float]]
Qrels = dict[Any, dict[Any, float]]

_QUERY = ("query_id", "qid", "query")
_ITEM = ("doc_id", "docno", "docid", "item_id", "item", "id")
_VALUE = {"score": ("score", "sim", "_score"), "relevance": ("relevance", "label", "rel", "grade")}


def read_run(path: str | os.PathLike[str]) -> Run:
    """Return a run file as query id -> document id -> score.

    Raises
    ------
    NotFound
        No such file.
    BadInput
        A line that is none of a run, a score that is no number, or a document twice for one query; with its line.
    """
    return _read(Path(path), "run", 6, 4)


def read_qrels(path: str | os.PathLike[str]) -> Qrels:
    """Return a file of judgements as query id -> document id -> grade.

    Raises
    ------
    NotFound
        No such file.
    BadInput
        A line that is none of qrels, a grade that is no number, or a document twice for one query; with its line.
    """
    return _read(Path(path), "qrels", 4, 3)


def write_run(run: Any, path: str | os.PathLike[str], *, name: str = "commonspace") -> None:
    """Write a run in the form of TREC, best first, so that it reads back exactly.

    Parameters
    ----------
    run : mapping, table or path
        Anything that `as_run` takes.
    path : str or Path
        Compressed if it ends in .gz.
    name : str
        What to call the system in the last column.
    """
    lines = []
    for query, found in as_run(run).items():
        best_first = sorted(found.items(), key=lambda pair: -pair[1])
        for rank, (item, score) in enumerate(best_first, 1):
            lines.append(f"{_word(query)} Q0 {_word(item)} {rank} {float(score)!r} {_word(name)}\n")
    _write(Path(path), lines)


def write_qrels(qrels: Any, path: str | os.PathLike[str]) -> None:
    """Write judgements in the form of TREC; grades that are whole numbers are written as such."""
    lines = []
    for query, judged in as_qrels(qrels).items():
        for item, grade in judged.items():
            shown = int(grade) if float(grade).is_integer() else float(grade)
            lines.append(f"{_word(query)} 0 {_word(item)} {shown!r}\n")
    _write(Path(path), lines)


def as_run(source: Any) -> Run:
    """Return a run as query id -> item id -> score.

    Parameters
    ----------
    source : mapping, table or path
        Query id -> scores by item id, or the result of a search with `ids` and `scores`; a table of three columns; or
        the path of a run file (of a table, if it ends as one).

    Raises
    ------
    BadInput
        Scores that are no numbers, an item twice for one query, columns that cannot be told.
    """
    return _as(source, "score", read_run)


def as_qrels(source: Any) -> Qrels:
    """Return judgements as query id -> item id -> grade, from what `as_run` takes or a mapping to a list of items.

    A list or set of item ids stands for grade 1 each.
    """
    return _as(source, "relevance", read_qrels)


def to_table(entries: Mapping[Any, Mapping[Any, float]], value: str = "score", kind: str = "pandas") -> Any:
    """Return a run or qrels as a table of query_id, doc_id and `value`.

    Parameters
    ----------
    entries : mapping
        A run or qrels.
    value : str
        Name of the third column: ``"score"`` or ``"relevance"``.
    kind : str
        ``"list"`` (of dicts), ``"columns"``, ``"pandas"``, ``"polars"`` or ``"arrow"``.
    """
    rows = [(q, item, v) for q, found in entries.items() for item, v in found.items()]
    queries, items, values = (list(c) for c in zip(*rows, strict=True)) if rows else ([], [], [])
    return Table({"query_id": queries, "doc_id": items, value: values}).to_native(kind)


def _as(source: Any, value: str, read: Callable[[Any], dict[Any, dict[Any, float]]]) -> dict[Any, dict[Any, float]]:
    if isinstance(source, str | os.PathLike):
        if Path(source).suffix.lower() not in (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json"):
            return read(source)
    elif isinstance(source, Mapping) and not _is_columns(source, value):
        return {query: _scored(query, found, value) for query, found in source.items()}
    return _from_table(read_table(source), value)


def _is_columns(source: Mapping[Any, Any], value: str) -> bool:
    return any(n in source for n in _QUERY) and any(n in source for n in _VALUE[value])


def _scored(query: Any, found: Any, value: str) -> dict[Any, float]:
    """Return the items of one query with their scores."""
    if isinstance(found, Mapping):
        out = dict(found)
    elif hasattr(found, "ids") and hasattr(found, "scores"):
        out = dict(zip(found.ids, found.scores, strict=True))
        if len(out) < len(found.ids):
            raise BadInput(f"query {query!r} has an item twice: keep its best score only")
    elif value == "relevance" and isinstance(found, list | tuple | set | frozenset):
        out = dict.fromkeys(found, 1.0)
    else:
        raise BadInput(f"query {query!r} must map item ids to numbers, not be a {type(found).__name__}")
    try:
        values = np.fromiter(out.values(), np.float64, len(out))
    except (TypeError, ValueError):
        wrong = next(item for item, v in out.items() if not isinstance(v, int | float | np.number))
    else:
        # A score may say "last of all".
        bad = ~np.isfinite(values) & ~((value == "score") & (values == -np.inf))
        if not bad.any():
            return dict(zip(out, values.tolist(), strict=True))
        wrong = list(out)[int(bad.argmax())]
    raise BadInput(f"the {value} of item {wrong!r} for query {query!r} is no number: {out[wrong]!r}")


def _from_table(table: Table, value: str) -> dict[Any, dict[Any, float]]:
    query, item, number = (_column(table, names) for names in (_QUERY, _ITEM, _VALUE[value]))
    out: dict[Any, dict[Any, float]] = {}
    for i, (q, d, v) in enumerate(zip(query, item, number, strict=True)):
        own = out.setdefault(q, {})
        if d in own:
            raise BadInput(f"row {i} has item {d!r} for query {q!r} a second time")
        own[d] = v
    return {q: _scored(q, own, value) for q, own in out.items()}


def _column(table: Table, names: tuple[str, ...]) -> Any:
    known = [n for n in names if n in table]
    if not known:
        raise BadInput(f"the table needs a column named {' or '.join(names)}; it has {', '.join(table.columns)}")
    column = table[known[0]]
    return column.tolist() if hasattr(column, "tolist") else column


def _read(path: Path, what: str, width: int, place: int) -> dict[Any, dict[Any, float]]:
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    out: dict[Any, dict[Any, float]] = {}
    number, known, own = 0, None, {}
    try:
        with opened(path, "rt", encoding="utf-8-sig") as f:
            for number, line in enumerate(f, 1):  # noqa: B007 (named in errors)
                parts = line.split()
                if not parts:
                    continue
                if len(parts) != width:
                    raise BadInput(f"{len(parts)} columns, but a line of {what} has {width}")
                if parts[0] != known:
                    known = parts[0]
                    own = out.setdefault(known, {})
                value = float(parts[place])
                if value != value or value == math.inf or (value == -math.inf and what == "qrels"):
                    raise BadInput(f"{parts[place]!r} is no number")
                if parts[2] in own:
                    raise BadInput(f"document {parts[2]!r} a second time for query {known!r}")
                own[parts[2]] = value
    except (BadInput, ValueError, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as e:
        raise BadInput(f"cannot read {path} as {what}, line {max(number, 1)}: {e}") from None
    return out


def _write(path: Path, lines: list[str]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        data = "".join(lines).encode("utf-8")
        part.write_bytes(gzip.compress(data, mtime=0) if path.suffix.lower() == ".gz" else data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _word(name: Any) -> str:
    text = str(name)
    if not text or text.split() != [text]:
        raise BadInput(f"{text!r} cannot stand in a TREC file, whose columns are parted by white space: rename it")
    return text
