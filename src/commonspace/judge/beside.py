"""Sections that put one thing beside another: two spaces on the same queries, and an index beside exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.judge.curves import rank_curves
from commonspace.judge.directions import Direction
from commonspace.judge.judged import Judged, averaged, corrected, effect
from commonspace.judge.report import Case, Section, Sheet
from commonspace.judge.verdict import system_words
from commonspace.measure import Comparison, Estimate, compare

SHOWN = 3  # queries that one finds and the other does not


@dataclass(frozen=True)
class Beside:
    """A section, its sentence for the verdict, and what the JSON document has more."""

    section: Section
    words: str
    data: dict[str, Any] = field(default_factory=dict)


def beside_section(
    judged: Sequence[Judged],
    name: str,
    other: tuple[str, Sequence[Direction]],
    metrics: Sequence[str],
    first: str,
    random_state: int,
) -> Beside:
    """Return two spaces side by side: every direction and metric with a paired test, corrected over all (Holm)."""
    rival, theirs = other
    if rival == name:
        raise BadInput(f"both spaces are called {name!r}: give them different names")
    by_task = {d.task: d for d in theirs}
    pairs = [(j, by_task[j.direction.task]) for j in judged if j.direction.task in by_task]
    if not pairs:
        raise BadInput(f"{rival} has none of the directions {', '.join(j.direction.title for j in judged)}")
    for j, d in pairs:
        if any(not np.array_equal(a, b) for a, b in zip(j.direction.keys, d.keys, strict=True)):
            raise BadInput(f"{name} and {rival} were not asked the same queries of the same items for {d.title}")
    rows = [
        (j, m, j.figures[m], figure, _paired(j, figure, m, (name, rival), random_state))
        for j, d in pairs
        for m, figure in d.measure(metrics, random_state=random_state).items()
    ]
    tested = iter(corrected([c for *_, c in rows if c is not None]))
    done = [(j, m, a, b, None if c is None else next(tested)) for j, m, a, b, c in rows]
    sheets = tuple(
        Sheet(
            ["metric", name, rival, f"{name} - {rival}", "ranks"],
            [[m, a, b, c, _ranks(c, m)] for j, m, a, b, c in done if j is one],
            title=one.direction.title,
        )
        for one, _ in pairs
    )
    pictures = tuple(
        rank_curves({name: j.direction, rival: d}, title=f"Ranks, {d.title}", random_state=random_state)
        for j, d in pairs
    )
    cases = tuple(c for j, d in pairs for c in _apart(j.direction, d, name, rival))
    how = (
        f"Paired by query; p-values are corrected over all directions and metrics (Holm). Ranks are those of "
        f"{name} and {rival}; they share one where no difference is shown."
    )
    apart = (
        "Where they part: queries for which one puts a right answer first and the other puts it furthest down. "
        "Answers are marked with the space they come from."
    )
    words = [system_words(c, m, j.direction.title) for j, m, _, _, c in done if m == first and c is not None]
    section = Section(f"{name} beside {rival}", how + ("\n\n" + apart if cases else ""), sheets, pictures, cases)
    data = {"compared": [_row(j, m, rival, b, c) for j, m, _, b, c in done]}
    return Beside(section, " ".join(words), data)


def index_section(judged: Sequence[Judged], first: str, random_state: int) -> Beside | None:
    """Return what an index loses against comparing with all vectors; None where none answered."""
    rows = [
        (j, m, figure, _paired(j, figure, m, ("exact", "index"), random_state))
        for j in judged
        for m, figure in j.index.items()
    ]
    if not rows:
        return None
    tested = iter(corrected([c for *_, c in rows if c is not None]))
    done = [(j, m, figure, None if c is None else next(tested)) for j, m, figure, c in rows]
    sheets = tuple(
        Sheet(
            ["metric", "with the index", "exact", "exact - index"],
            [[m, figure, j.figures[m], c] for j, m, figure, c in done if j is one],
            title=one.direction.title,
        )
        for one in judged
        if one.index
    )
    spoken = [(j, c) for j, m, _, c in done if m == first and c is not None]
    words = []
    for j, c in spoken:
        what = effect(c, first)
        lost = {
            "better": f"the index costs {c.difference:.3f} in {first} against exact search",
            "worse": f"the index finds more than exact search, {-c.difference:+.3f} in {first}",
        }.get(what, "no loss of the index against exact search is shown")
        words.append(f"{j.direction.title}: {lost}.")
    text = (
        "Searches of the collection are answered by its index; all other figures of this page compare with all "
        "vectors. Paired by query; p-values are corrected over all directions and metrics (Holm). Metrics that need "
        "more answers than were asked of the index are left out."
    )
    data = {"index": [_row(j, m, "index", figure, c) for j, m, figure, c in done]}
    return Beside(Section("What the index costs", text, sheets), " ".join(words), data)


def _paired(
    judged: Judged, figure: Estimate, name: str, called: tuple[str, str], random_state: int
) -> Comparison | None:
    if not averaged(name):
        return None
    found = compare(judged.figures[name], figure, groups=judged.direction.groups, random_state=random_state)
    return replace(found, a=called[0], b=called[1])


def _ranks(difference: Comparison | None, name: str) -> str:
    """Return the ranks of both."""
    if difference is None:
        return ""
    return {"better": "1 : 2", "worse": "2 : 1"}.get(effect(difference, name), "1 : 1")


def _row(judged: Judged, name: str, system: str, figure: Estimate, difference: Comparison | None) -> dict[str, Any]:
    compared = None if difference is None else difference.to_dict()
    return {"task": judged.direction.task, "system": system, **figure.to_dict(), "difference": compared}


def _apart(mine: Direction, theirs: Direction, name: str, rival: str) -> list[Case]:
    """Return queries that one finds at once and the other furthest down, with the first answers of both."""
    found = []
    for winner, loser, a, b in ((mine, theirs, name, rival), (theirs, mine, rival, name)):
        places = np.flatnonzero((winner.first == 1) & (loser.first > 1))
        for i in places[np.argsort(-loser.first[places], kind="stable")][:SHOWN]:
            query = winner.case(int(i), 2)
            answers = [replace(c, note=f"{a}, {c.note}") for c in query.answers]
            answers += [replace(c, note=f"{b}, {c.note}") for c in loser.case(int(i), 3).answers]
            note = f"{winner.title}: found by {a}, at rank {loser.first[i]:,.0f} by {b}"
            found.append(replace(query, note=note, answers=tuple(answers)))
    return found
