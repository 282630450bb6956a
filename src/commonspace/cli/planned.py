"""A plan on a terminal, folded to its width: the table is cut between its columns, and never within a row.

What every direction keeps stands in one part and the costs in another where both do not fit side by side. Where not
even the directions fit, the worst of each option stands for them.
"""

from __future__ import annotations

import textwrap
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from rich.console import Console

from commonspace.cli.shared import sheet
from commonspace.upgrade.showing import COSTS, cells, costs, figure, headline, notes

if TYPE_CHECKING:
    from commonspace.upgrade.plan import Plan

#: Columns of running text, however wide the terminal is.
TEXT = 110
WORST = "kept at least in"


def shown(plan: Plan) -> str:
    """Return a plan as the terminal has room for; in a pipe there is room for everything."""
    console = Console()
    return "\n".join(folded(plan, console.width)) if console.is_terminal else str(plan)


def folded(plan: Plan, width: int) -> list[str]:
    """Return a plan as lines of at most so many characters, as far as its names allow."""
    out = [headline(plan), *(line for reason in plan.reasons for line in _wrapped(reason, "  ", width)), ""]
    found, all_directions = parts(plan, width)
    for part in found:
        out += [*_aligned(part), ""]
    if not all_directions:
        out += [*_wrapped("A wider terminal, or --json, shows what is kept in every direction.", "", width), ""]
    return out + [line for note in notes(plan) for line in _wrapped(note, "", width)]


def parts(plan: Plan, width: int) -> tuple[list[list[list[str]]], bool]:
    """Return the table as one or two that fit, and whether no direction had to be left out.

    Each is rows of cells, the head first, with the option at the left.
    """
    whole = cells(plan)
    kept = [row[: -len(COSTS)] for row in whole]
    paid = [[row[0], *row[-len(COSTS) :]] for row in whole]
    if not (fits := _width(kept) <= width):
        worst = [f"{figure(o.kept[o.worst])} {o.worst}" for o in plan.options]
        kept = [[row[0], cell] for row, cell in zip(whole, [WORST, *worst], strict=True)]
    beside = [[*left, *right[1:]] for left, right in zip(kept, paid, strict=True)]
    return ([beside] if _width(beside) <= width else [kept, paid]), fits


def list_ways(plan: Plan, asked: str) -> str:
    """Print the options that can be carried out, those first whose names are most like what was asked for.

    Returns the name of the first.
    """
    ways = [o for o in plan.options if o.kind not in ("keep", "rescore")]
    ways.sort(key=lambda o: -SequenceMatcher(None, asked.lower(), o.name.lower()).ratio())
    rows = [[o.name, figure(o.kept[o.worst]), costs(o)[0]] for o in ways]
    sheet(["option", "keeps at least", COSTS[0]], rows, err=True)
    return str(ways[0].name)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join([first, *others]).rstrip())
    return lines


def _width(rows: list[list[str]]) -> int:
    return max(map(len, _aligned(rows)))


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    room = max(20, min(TEXT, width))
    return textwrap.wrap(text, room, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)
