"""`evaluation_report`: how well a space finds, as a report that begins with a verdict and ends with items to look at.

Figures stand beside chance and beside baselines that read words; differences are tested query by query (or thing by
thing, between directions) and corrected for their number. What fails is shown as it is, worst first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.judge.beside import beside_section, index_section
from commonspace.judge.curves import calibration_curve, cut_off_curves, rank_curves
from commonspace.judge.directions import Direction
from commonspace.judge.judged import CHANCE, Judged, corrected, judge_all, weaker
from commonspace.judge.report import Report, Section, Sheet
from commonspace.judge.slices import FEWEST, slices
from commonspace.judge.verdict import headline, verdict
from commonspace.measure import Calibration, calibration, metric

METRICS = ("hit@1", "hit@5", "hit@10", "recall@1", "recall@10", "mrr", "ndcg@10", "median_rank")
WORST = 6
TYPICAL = 4
HOW = (
    "hit@k: a right answer is among the first k (image-text papers write R@k). recall@k: the share of all right "
    "answers among the first k.\n\nIntervals are 95 %, from a bootstrap over things: queries of one thing are drawn "
    "together. Chance is the expectation over all random orders. Differences are paired by query, their p-values "
    "corrected over all directions and metrics (Holm); a median has no such test."
)


def evaluation_report(
    directions: Sequence[Direction],
    *,
    metrics: Sequence[str] = METRICS,
    title: str = "Evaluation",
    name: str = "this space",
    other: tuple[str, Sequence[Direction]] | None = None,
    about: Mapping[str, Any] | None = None,
    random_state: int = 0,
) -> Report:
    """Measure every direction and write down what it shows.

    Parameters
    ----------
    directions : sequence of Direction
        See `directions_of`.
    metrics : sequence of str
        ``"hit@1"``, ``"ndcg@10"`` ...; the verdict speaks of ``hit@1`` where it is among them, else of the first.
    title, name : str
        Of the report, and of what is evaluated.
    other : (str, sequence of Direction), optional
        Another space's name and its directions, over the same queries and galleries in the same order.
    about : mapping of str to str or number, optional
        More for the report's last lines.
    random_state : int
        Seed of intervals, tests and examples.

    Returns
    -------
    Report
        Its `data` hold the figures as rows of task, metric, value, low, high, n under ``"metrics"``.

    Raises
    ------
    BadInput
        No direction; two spaces that were not asked the same.
    NotFound
        An unknown metric.
    """
    if not directions:
        raise BadInput("there is no direction to evaluate: give at least one modality that asks and one searched")
    metrics = list(dict.fromkeys(metrics))
    first = headline(metrics)
    judged = judge_all(directions, metrics, random_state=random_state)
    back = weaker(judged, first, random_state=random_state)
    sections, said = [_figures(judged, back, first, random_state)], []
    data: dict[str, Any] = {"metrics": metric_rows(judged)}
    for found in (
        other and beside_section(judged, name, other, metrics, first, random_state),
        index_section(judged, first, random_state),
    ):
        if found:
            sections.append(found.section)
            said.append(found.words)
            data |= found.data
    sections += [s for s in (_scores(judged, random_state), _classes(judged, first, random_state)) if s]
    for j in judged:
        sections += _examples(j.direction, random_state)
    facts = {**(about or {}), "queries and items": sizes(directions), "seed of intervals": random_state}
    return Report(title, verdict(judged, first, back, said), sections, facts, data)


def metric_rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Return the figures in the project's one form, each with the strongest baseline's."""
    rows = []
    for j in judged:
        for m, figure in j.figures.items():
            strongest = j.gains[m].b if m in j.gains else CHANCE
            row = {"task": j.direction.task, **figure.to_dict(), "baseline": j.baselines[strongest][m].value}
            rows.append({**row, "baseline_name": strongest})
    return rows


def sizes(directions: Sequence[Direction]) -> str:
    """Return how many queries and items there are, in words."""
    return "; ".join(
        f"{d.title}: {len(d.judged):,} queries"
        + (f" ({skipped:,} more have no right answer)" if (skipped := len(d.queries) - len(d.judged)) else "")
        + f", {len(d.gallery):,} items"
        for d in directions
    )


def _figures(judged: Sequence[Judged], back: Sequence[Any], first: str, random_state: int) -> Section:
    sheets = [_sheet(j) for j in judged]
    left_out = {name: why for j in judged for name, why in j.left_out.items()}
    if back:
        sheets.append(
            Sheet(
                ["first", "second", f"first - second in {first}"],
                [[a.direction.title, b.direction.title, c] for a, b, c in back],
                "Thing by thing: the mean over the queries of a thing in one direction minus that in the other. "
                "Galleries of different size and numbers of right answers make a direction easier, too.",
                "Which direction is weaker",
            )
        )
    directions = [j.direction for j in judged]
    pictures = (
        rank_curves({d.title: d for d in directions}, random_state=random_state),
        *cut_off_curves(directions, random_state=random_state),
    )
    return Section(
        "How much is found",
        HOW + "".join(f" {name} is left out: {why}." for name, why in left_out.items()),
        tuple(sheets),
        pictures,
    )


def _sheet(judged: Judged) -> Sheet:
    """Return the figures of one direction beside its baselines."""
    names = [b for b in judged.baselines if b != CHANCE]
    rows = [
        [m, figure, judged.baselines[CHANCE][m].value, *(judged.baselines[b][m] for b in names), judged.gains.get(m)]
        + ([judged.gains[m].b if m in judged.gains else ""] if names else [])
        + [judged.outcome(m)]
        for m, figure in judged.figures.items()
    ]
    gain = ["more than the strongest", "which is"] if names else [f"more than {CHANCE}"]
    return Sheet(["metric", "figure", CHANCE, *names, *gain, ""], rows, title=judged.direction.title)


def _scores(judged: Sequence[Judged], random_state: int) -> Section | None:
    """Return what a score says about being right, for directions with enough queries."""
    found: dict[str, Calibration] = {}
    for j in judged:
        answers = j.direction.answers
        try:
            found[j.direction.title] = calibration(
                answers.scores[:, 0], answers.right[:, 0], groups=j.direction.groups, random_state=random_state
            )
        except BadInput:  # too few queries or things
            continue
    if not found:
        return None
    rows = [[name, c.error, c.least] for name, c in found.items()]
    head = ["direction", "calibration error", "of perfect probabilities"]
    return Section(
        "How far scores can be trusted",
        "If higher scores are right more often, a limit on the score can say when there is no answer. The calibration "
        "error is that of probabilities made of scores by a monotone fit on one half of the things, measured on the "
        "other; even perfect probabilities show some error on so few.",
        (Sheet(head, rows),),
        (calibration_curve(found),),
    )  # fmt: skip


def _classes(judged: Sequence[Judged], first: str, random_state: int) -> Section | None:
    sheets: list[Sheet] = []
    tables = []
    for j in judged:
        classes = j.direction.queries.classes
        if classes is None:
            continue
        values = j.figures[first].per_query
        bounds = getattr(metric(first), "bounds", None)
        mine = np.asarray(classes, dtype=object)[j.direction.judged]
        tables.append(
            (j, slices(values, mine, metric=first, groups=j.direction.groups, bounds=bounds, random_state=random_state))
        )
    # One family: every class of every direction was looked at.
    p = iter(corrected([s.difference for _, found in tables for s in found]))
    for j, found in tables:
        if not found:
            continue
        rows = [[s.name, s.figure, c, _apart(c)] for s in found for c in [next(p)]]
        title = j.direction.title
        sheets.append(Sheet(["class", first, "class - the rest", ""], rows, title=title))
    if not sheets:
        return None
    return Section(
        "By class",
        f"Classes of at least {FEWEST} queries. P-values are corrected over all classes and directions (Holm): where "
        "many are looked at, some differ by chance.",
        tuple(sheets),
    )


def _apart(difference: Any) -> str:
    if difference.p_value >= 0.05:
        return "no difference shown"
    return "higher" if difference.difference > 0 else "lower"


def _examples(direction: Direction, random_state: int) -> list[Section]:
    """Return what fails worst, and some of what works, drawn at random; at most one query of a thing."""
    first = direction.first
    failed = _distinct(np.argsort(-first, kind="stable"), direction.groups, lambda i: first[i] >= 2, WORST)
    drawn = np.random.default_rng(random_state).permutation(len(first))
    good = _distinct(drawn, direction.groups, lambda i: first[i] == 1, TYPICAL)
    wrong, right = int((first > 1).sum()), int((first == 1).sum())
    found = []
    if failed:
        text = (
            f"For {wrong:,} of {len(first):,} queries the first answer is wrong. These are the worst, with their first "
            "answers and the best of the right ones."
        )
        found.append(Section(f"Where {direction.title} fails", text, cases=tuple(map(direction.case, failed))))
    if good:
        text = f"Drawn at random from the {right:,} queries whose first answer is right."
        found.append(Section(f"Where {direction.title} works", text, cases=tuple(direction.case(i) for i in good)))
    return found


def _distinct(order: Any, groups: np.ndarray, wanted: Any, most: int) -> list[int]:
    """Return the first places that are wanted, at most one of a group."""
    seen: set[Any] = set()
    kept: list[int] = []
    for i in map(int, order):
        if len(kept) == most:
            break
        if wanted(i) and groups[i] not in seen:
            seen.add(groups[i])
            kept.append(i)
    return kept
