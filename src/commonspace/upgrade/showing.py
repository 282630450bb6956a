"""A plan as people read it: the verdict, why, the rule, and a table of the options."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from commonspace.measure.statistics.estimates import Estimate
from commonspace.upgrade.options import Option
from commonspace.upgrade.verdict import percent

if TYPE_CHECKING:
    from commonspace.upgrade.plan import Plan

WIDTH = 110
MOST = 4  # directions that have a column each; of more, the worst alone is shown
COSTS = ("encoder calls", "a query", "written", "time")


def lines(plan: Plan) -> list[str]:
    """Return the plan as lines of text."""
    out = [headline(plan)]
    out += [part for reason in plan.reasons for part in _wrapped(reason, "  ")]
    out += ["", *table(plan), ""]
    for note in notes(plan):
        out += _wrapped(note, "")
    return out


def headline(plan: Plan) -> str:
    """Return the verdict, what it means here, and whether it is certain."""
    chosen = "" if plan.chosen in ("keep", "re-embed") else f": {plan.chosen}"
    return f"{plan.verdict}{chosen} ({'certain' if plan.certain else 'not certain'})"


def notes(plan: Plan) -> list[str]:
    """Return what belongs below the table."""
    shown = "every option" if len(plan.directions) <= MOST else "every option, in its worst direction"
    about = (
        f"{plan.metric}: what {shown} keeps of a full re-embed, with {percent(plan.confidence)} intervals, each by "
        f"itself. Galleries: {_counts(plan.galleries)}; corpus: {_counts(plan.corpus.items)}. "
        f"What was measured learned from {plan.learned:.0%} of the probes, what is kept from all of them."
    )
    timed = f" Time: {plan.corpus.measured_on}." if plan.corpus.measured_on else ""
    out = [about + timed, f"Rule: {plan.rule}"]
    if plan.left_out:
        out.append("Left out: " + "; ".join(f"{what} ({why})" for what, why in plan.left_out.items()) + ".")
    return out


def table(plan: Plan) -> list[str]:
    """Return the options as lines, one each."""
    rows = cells(plan)
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        first, *others = (c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join([first, *others]).rstrip()

    return [line(r) for r in rows]


def cells(plan: Plan) -> list[list[str]]:
    """Return the table with its head."""
    few = len(plan.directions) <= MOST
    head = ["", *(plan.directions if few else ["kept at least in"]), *COSTS]
    return [head, *([_marked(plan, o), *_kept(o, plan.directions, few), *costs(o)] for o in plan.options)]


def costs(option: Option) -> list[str]:
    """Return what an option costs, in the order of `COSTS`."""
    c = option.cost
    return [f"{c.encoder_calls:,}", f"{c.calls_per_query:g}", size(c.bytes_written), duration(c.seconds)]


def size(n: int) -> str:
    """Return bytes as people read them: ``"1.5 GB"``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= factor:
            return f"{n / factor:.3g} {unit}"
    return f"{n} B" if n else "0"


def duration(seconds: float) -> str:
    """Return a time as people read it: ``"3.2 h"``; ``"?"`` if it is not known."""
    if not math.isfinite(seconds):
        return "?"
    for unit, factor in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds else "0"


def sheet(plan: Plan) -> Any:
    """Return the plan for a terminal that shows colours."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head, *rows = cells(plan)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        shown.add_column(name, justify="right" if i else "left", no_wrap=not i)
    for row, option in zip(rows, plan.options, strict=True):
        shown.add_row(*row, style="bold green" if option.name == plan.chosen else "")
    reasons = [Text(f"  {r}") for r in plan.reasons]
    below = [Text(n, style="dim") for n in notes(plan)]
    return Group(Text(headline(plan), style="bold"), *reasons, Text(), shown, Text(), *below)


def _marked(plan: Plan, option: Option) -> str:
    return f"{'>' if option.name == plan.chosen else ' '} {option.name}"


def _kept(option: Option, directions: Sequence[str], few: bool) -> list[str]:
    if not few:
        return [f"{figure(option.kept[option.worst])} {option.worst}"]
    return [figure(option.kept[d]) for d in directions]


def figure(e: Estimate) -> str:
    """Return a share with its interval."""
    if math.isnan(e.value):
        return "not known"
    high = f"{e.high:.3f}" if e.high < 100 else "inf"
    return f"{e.value:.3f} [{e.low:.3f}, {high}]" if e.low < e.high else f"{e.value:.3f}"


def _counts(items: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {m}" for m, n in items.items())


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)
