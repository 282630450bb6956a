"""Apply a remedy and measure what it did: to the finding that asked for it, and to retrieval in every direction.

The things of a subject are dealt into two halves. The remedy learns from one; on the other, which shares no thing with
it, every direction of retrieval (one modality asks another, or its own where things occur more than once) is measured
with and without the remedy, over the same queries. The differences have a paired randomisation test with the queries
of one thing under one sign, and p-values are corrected by Holm's procedure: over the directions of a remedy, and over
all remedies where a check-up tries several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.registry import build, name_of
from commonspace.judge.finding import Finding, Found
from commonspace.judge.remedy import Remedy
from commonspace.judge.subject import Subject
from commonspace.measure import Comparison, Estimate, compare, estimate, evaluate_retrieval, holm

LEVEL = 0.05
METRIC = "mrr"
HALF = 5_000  # rows of a modality in each half: queries and gallery of the measurement
LEAST = 10  # things that must ask, below which nothing is measured


@dataclass(frozen=True)
class Direction:
    """Retrieval in one direction, with a remedy and without.

    Parameters
    ----------
    task : str
        ``"text->image"``.
    without, treated : Estimate
        Mean reciprocal rank of the first right answer.
    difference : Comparison
        treated - without, over the same queries.
    """

    task: str
    without: Estimate
    treated: Estimate
    difference: Comparison

    @property
    def effect(self) -> int:
        """1 where the remedy is better beyond chance, -1 where worse, 0 where no difference is shown."""
        return int(np.sign(self.difference.difference)) if self.difference.p_value < LEVEL else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        figures = {n: getattr(self, n).to_dict() for n in ("without", "treated", "difference")}
        return {"task": self.task, **figures, "effect": self.effect}


@dataclass(frozen=True)
class Treatment:
    """What a remedy did.

    Parameters
    ----------
    remedy : str
        Its name.
    title : str
        What it does, in words.
    for_ : tuple of str
        The findings that asked for it.
    directions : tuple of Direction
        Retrieval, where it is known which rows show the same thing.
    before, after : tuple of Found
        Those findings on the half that the remedy did not learn from, without and with it; the same things in the same
        order.
    why_not : str
        Why nothing was measured, if so.
    """

    remedy: str
    title: str
    for_: tuple[str, ...] = ()
    directions: tuple[Direction, ...] = ()
    before: tuple[Found, ...] = ()
    after: tuple[Found, ...] = ()
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """``"helps"``, ``"hurts"``, ``"helps and hurts"``, ``"no difference shown"`` or ``"not measured"``."""
        effects = {d.effect for d in self.directions}
        if not effects:
            return "not measured"
        better, worse = 1 in effects, -1 in effects
        return (
            "helps and hurts" if better and worse else
            "helps" if better else "hurts" if worse else "no difference shown"
        )  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.remedy} ({self.title}): {self.verdict}{f' ({self.why_not})' if self.why_not else ''}"]
        for d in self.directions:
            lines.append(f"    {d.task}: {METRIC} {d.without} -> {d.treated}; {d.difference}")
        for b, a in zip(self.before, self.after, strict=True):
            lines.append(f"    {b.finding} ({b.about}): score {b.score:.2f} -> {a.score:.2f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        scores = [
            {"finding": b.finding, "about": b.about, "before": b.score, "after": a.score}
            for b, a in zip(self.before, self.after, strict=True)
        ]
        return {
            "remedy": self.remedy,
            "title": self.title,
            "for": list(self.for_),
            "verdict": self.verdict,
            "why_not": self.why_not,
            "directions": [d.to_dict() for d in self.directions],
            "findings": scores,
        }


def treat(
    subject: Subject,
    remedy: Any,
    findings: Sequence[Finding],
    rng: np.random.Generator,
    *,
    halves: tuple[Subject, Subject] | None = None,
) -> Treatment:
    """Fit a remedy on one half of a subject and measure it on the other.

    Parameters
    ----------
    subject : Subject
    remedy : str, mapping or Remedy
        What to try.
    findings : sequence of Finding
        What asked for it, to be looked for again.
    rng : Generator
    halves : (Subject, Subject), optional
        What to learn from and what to measure on; cut here otherwise.
    """
    made: Remedy = build("Remedy", remedy)
    names = tuple(name_of(f) for f in findings)
    said = Treatment(name_of(made), made.title, names)
    if why := made.lacks(subject):
        return replace(said, why_not=f"it needs what is not there: {why}")
    try:
        learn, test = subject.halves(rng, most=HALF) if halves is None else halves
        made.fit(learn, rng)
        before, after = _again(test, made, findings, rng)
        directions = measured(test, made, rng)
    except BadInput as e:
        return replace(said, why_not=str(e))
    why = "" if directions else "it is not known which rows show the same thing, or too few things ask"
    return replace(said, directions=directions, before=before, after=after, why_not=why)


def _again(
    test: Subject, remedy: Remedy, findings: Sequence[Finding], rng: np.random.Generator
) -> tuple[tuple[Found, ...], tuple[Found, ...]]:
    """Return what the findings say of the subject without and with the remedy, where both say something."""
    treated = remedy.apply(test)
    if treated is None:
        return (), ()
    pairs = []
    for finding in findings:
        if finding.lacks(test) or finding.lacks(treated):
            continue  # such as an earlier version, which a half has not
        seed = int(rng.integers(2**31))
        both = [{f.about: f for f in finding.look(s, np.random.default_rng(seed))} for s in (test, treated)]
        pairs += [(both[0][about], both[1][about]) for about in both[0] if about in both[1]]
    return tuple(b for b, _ in pairs), tuple(a for _, a in pairs)


def measured(test: Subject, remedy: Remedy, rng: np.random.Generator) -> tuple[Direction, ...]:
    """Return retrieval in every direction with and without a remedy that was fitted on other things."""
    keeps = remedy.keeps(test)
    found = [d for a, b in product(test.things, repeat=2) if (d := _direction(test, remedy, a, b, keeps, rng))]
    if not found:
        return ()
    return _corrected(found)


def corrected_together(treatments: Sequence[Treatment]) -> list[Treatment]:
    """Return treatments of one subject with p-values corrected over the directions of all of them."""
    together = iter(_corrected([d for t in treatments for d in t.directions]))
    return [replace(t, directions=tuple(next(together) for _ in t.directions)) for t in treatments]


def _corrected(directions: Sequence[Direction]) -> tuple[Direction, ...]:
    p_values = holm([d.difference.p_value_raw for d in directions])
    return tuple(
        replace(d, difference=replace(d.difference, p_value=float(p)))
        for d, p in zip(directions, p_values, strict=True)
    )


def _direction(
    test: Subject, remedy: Remedy, asks: str, searched: str, keeps: Any, rng: np.random.Generator
) -> Direction | None:
    """Return one direction, or None where fewer than `LEAST` things ask for anything."""
    rows = {m: test.sound(m) for m in (asks, searched)}
    codes = {m: test.codes(m)[r] for m, r in rows.items()}
    queries, gallery = (np.asarray(test.vectors[m][rows[m]], np.float32) for m in (asks, searched))
    itself = asks == searched
    others = np.bincount(codes[searched], minlength=codes[asks].max(initial=0) + 1)[codes[asks]] - itself
    judged = others > 0
    if len(np.unique(codes[asks][judged])) < LEAST:
        return None
    stays = keeps[searched][rows[searched]]
    values = {}
    for name, meet, kept in (("without", remedy.without, np.ones(len(gallery), bool)), ("treated", remedy.meet, stays)):
        q, g = meet(asks, searched, queries, gallery)
        values[name] = _values(q, g, codes[asks], codes[searched], kept, itself)[judged]
    things = codes[asks][judged]
    seed = int(rng.integers(2**31))
    figures = {n: estimate(v, METRIC, groups=things, bounds=(0, 1), random_state=seed) for n, v in values.items()}
    difference = compare(values["treated"], values["without"], groups=things, random_state=seed)
    return Direction(
        f"{asks}->{searched}", **figures, difference=replace(difference, a=f"with {name_of(remedy)}", b="without")
    )


def _values(
    q: np.ndarray, g: np.ndarray, asking: np.ndarray, there: np.ndarray, kept: np.ndarray, itself: bool
) -> np.ndarray:
    """Return (q,) reciprocal ranks; 0 for queries whose right answers are not in the gallery (any more)."""
    g, there = g[kept], there[kept]
    own = np.full(len(kept), -1)
    own[kept] = np.arange(kept.sum())
    out = np.zeros(len(q))
    keys = asking, there
    if not itself:
        judged = np.isin(asking, there)
        out[judged] = evaluate_retrieval(q, g, keys, [METRIC], resamples=1)[METRIC].per_query
        return out
    # Rows that were taken out of the gallery still ask; the others must not find themselves.
    inside, gone = np.flatnonzero(own >= 0), np.flatnonzero(own < 0)
    many = np.bincount(there, minlength=asking.max() + 1)
    for rows, alone in ((inside, True), (gone, False)):
        judged = rows[many[asking[rows]] > alone]
        if len(judged):
            scored = evaluate_retrieval(q[rows], g, (asking[rows], there), [METRIC], leave_one_out=alone, resamples=1)
            out[judged] = scored[METRIC].per_query
    return out
