"""Runs: what several systems returned for the same queries, brought to one form.

A run is a mapping of query -> ranking, or a sequence with one ranking a row, whose queries are then called 0, 1, 2, ...
A ranking is a sequence of ids, best first, or a mapping of id -> score, best first by score; equal scores keep the
order in which they are given. Ids are strings or whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound

Id = str | int


def ranking(found: Any, depth: int | None = None) -> list[Id]:
    """Return the ids of one ranking, best first.

    Parameters
    ----------
    found : sequence of ids, or mapping of id to score
    depth : int, optional
        Only so many of the first.

    Raises
    ------
    BadInput
        An id that comes twice, a score that is NaN, anything that is not a ranking.
    """
    if isinstance(found, Mapping):
        ids, scores = list(found), np.asarray(list(found.values()), dtype=np.float64)
        if np.isnan(scores).any():
            raise BadInput(f"the score of {ids[int(np.isnan(scores).argmax())]!r} is NaN: it has no place in a ranking")
        found = [ids[i] for i in np.argsort(-scores, kind="stable")]
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise BadInput(f"a ranking is a sequence of ids, best first, or a mapping of id to score, not {found!r}")
    ids = [plain_id(i) for i in found]
    if len(set(ids)) < len(ids):
        twice = next(i for n, i in enumerate(ids) if i in ids[:n])
        raise BadInput(f"a ranking holds {twice!r} twice: keep the better place only")
    return ids if depth is None else ids[:depth]


def by_query(table: Any) -> dict[Id, Any]:
    """Return a mapping of query -> what belongs to it, from a mapping or from one row a query."""
    if isinstance(table, Mapping):
        return {plain_id(q): found for q, found in table.items()}
    if isinstance(table, str | bytes) or not isinstance(table, Iterable):
        raise BadInput(f"a run maps each query to its ranking, or holds one ranking a row, but this is {table!r}")
    return dict(enumerate(table))


def check_runs(runs: Any, *, least: int = 1, depth: int | None = None) -> dict[str, dict[Id, list[Id]]]:
    """Return the runs of several systems in one form, all with the same queries in the same order.

    Parameters
    ----------
    runs : mapping of str to run
    least : int
        How many systems are needed.
    depth : int, optional
        Only so many of the first of each ranking.

    Raises
    ------
    BadInput
        Too few systems, no query, a query that a system lacks. A system that found nothing says so by an empty ranking.
    """
    if not isinstance(runs, Mapping) or len(runs) < least:
        named = list(runs) if isinstance(runs, Mapping) else type(runs).__name__
        raise BadInput(f"runs must map the names of at least {least} systems to what they returned, not {named}")
    tables = {str(name): by_query(run) for name, run in runs.items()}
    first = next(iter(tables))
    queries = list(tables[first])
    if not queries:
        raise BadInput(f"the run {first!r} has no queries")
    out = {}
    for name, table in tables.items():
        for here, there, a, b in ((tables[first], table, first, name), (table, tables[first], name, first)):
            lacking = [q for q in here if q not in there]
            if lacking:
                raise BadInput(
                    f"query {lacking[0]!r} of the run {a!r} is not in {b!r} ({len(lacking)} in all): every system must "
                    "answer the same queries; one that found nothing says so by an empty ranking"
                )
        out[name] = {q: ranking(table[q], depth) for q in queries}
    return out


def check_judgements(judged: Any, queries: Iterable[Id]) -> dict[Id, dict[Id, float]]:
    """Return judgements, query -> id -> grade, of known queries only.

    Raises
    ------
    NotFound
        A query that no run has.
    BadInput
        A grade that is not a number.
    """
    known = set(queries)
    out: dict[Id, dict[Id, float]] = {}
    for query, grades in by_query(judged).items():
        if query not in known:
            raise NotFound(f"query {query!r} is judged, but no run has it: ids of queries must agree in kind, too")
        if not isinstance(grades, Mapping):
            raise BadInput(f"judgements of query {query!r} must map ids to grades, not {type(grades).__name__}")
        out[query] = {plain_id(i): check_grade(g) for i, g in grades.items()}
    return out


def check_grade(grade: Any) -> float:
    """Return a grade as a finite float."""
    try:
        value = float(grade)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise BadInput(f"a grade is a number, greater for more relevant, not {grade!r}")
    return value


def plain_id(name: Any) -> Id:
    """Return an id as a str or int that JSON can hold."""
    if isinstance(name, np.integer | np.str_):
        name = name.item()
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise BadInput(f"an id is a string or a whole number, not {name!r} ({type(name).__name__})")
    return name
