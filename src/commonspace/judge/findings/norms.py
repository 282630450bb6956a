"""Are the lengths of the vectors what a search expects?

    score = (1 - share of rows at fault) / (1 + v)

A row is at fault if it is zero or not finite (it has no direction and can be neither found nor asked for), saturated
(cut off at the largest number of its format), or of a length far from all others (robust z of the log length above 6;
or, where half of the rows have length one, off it by more than 0.001). v is the coefficient of variation of the lengths
of the others.

The flag goes up as soon as one row is at fault, because each is a defect that can be named; or where v exceeds 0.1: an
inner product then prefers long rows, and does not rank as cosine does.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive
from commonspace.judge.drawing import histogram
from commonspace.judge.finding import Finding, Found
from commonspace.judge.subject import Subject
from commonspace.measure.health.norms import TOLERANCE, norms
from commonspace.measure.health.norms import Norms as Measured
from commonspace.measure.statistics.jackknife import share

WORDS = {
    "non_finite": "NaN or Inf",
    "zero": "zero",
    "saturated": "cut off at the largest number of the format",
    "non_unit": "not of length one, as the others are",
    "outlying": "far longer or shorter than all others",
}
SHOWN = 3


@register("norms", protocol="Finding", claim="judge/findings")
class Norms(Finding):
    """Rows without a direction, and lengths that vary.

    Parameters
    ----------
    spread : float
        Coefficient of variation of the lengths above which the flag goes up.
    show : int
        Rows at fault that are told apart from each other, of each kind; of more only the number is known.
    """

    title = "Lengths of vectors"

    def __init__(self, *, spread: float = 0.1, show: int = 100_000) -> None:
        self.spread = spread
        self.show = show

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        return [self._found(subject, m, rng) for m in subject.modalities]

    def _found(self, subject: Subject, m: str, rng: np.random.Generator) -> Found:
        x = subject.vectors[m]
        seen = norms(x, show=check_positive("show", self.show), random_state=rng)
        meant_unit = abs(seen.length.value - 1) <= TOLERANCE
        kinds = [k for k in WORDS if k != "non_unit" or meant_unit]
        shares = {k: getattr(seen, k) for k in kinds}
        bad = np.unique(np.concatenate([seen.rows[k] for k in kinds]))
        # A row may be at fault in two ways; where rows are too many to be listed, the shares are added.
        most = max((round(s.value * len(x)) for s in shares.values()), default=0)
        n_bad = len(bad) if most <= self.show else min(len(x), sum(round(s.value * len(x)) for s in shares.values()))
        fault = share("share at fault", n_bad, len(x))
        lengths = self._lengths(subject, m, bad, rng)
        v = float(lengths.std() / lengths.mean()) if len(lengths) and lengths.mean() > 0 else 0.0
        faults = [
            _named(subject, m, k, round(s.value * len(x)), seen.rows[k]) for k, s in shares.items() if s.value > 0
        ]
        said = f"At fault: {'; '.join(faults)}" if faults else f"All of {len(x):,} rows have a direction"
        return Found(
            "norms",
            m,
            float((1 - fault.value) / (1 + v)),
            n_bad > 0 or v > self.spread,
            f"{said}. The median length is {seen.length.value:.3g}, and lengths vary by {v:.1%}.",
            evidence=_evidence(seen, fault, v),
            pictures=(histogram(f"Lengths of {m}", "length", {m: lengths}),) if len(lengths) else (),
            cases=tuple(subject.case(m, int(r), WORDS[k]) for k in kinds for r in seen.rows[k][:SHOWN]),
            remedy="unit-length",
            advice="Leave out or encode again the rows named, and bring all to length one before they are indexed.",
        )

    def _lengths(self, subject: Subject, m: str, bad: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the lengths of a sample of the rows that are not at fault."""
        rows = np.setdiff1d(subject.sound(m), bad, assume_unique=True)
        if len(rows) > 10_000:
            rows = np.sort(rng.choice(rows, 10_000, replace=False))
        found: np.ndarray = np.linalg.norm(np.asarray(subject.vectors[m][rows], np.float64), axis=1)
        return found


def _evidence(seen: Measured, fault: object, v: float) -> dict[str, object]:
    return {
        "share at fault": fault,
        "zero": seen.zero,
        "not finite": seen.non_finite,
        "cut off": seen.saturated,
        "length out of range": seen.outlying,
        "not of length one": seen.non_unit,
        "median length": seen.length,
        "coefficient of variation of the length": v,
        "lost in float16": seen.unfit,
    }


def _named(subject: Subject, m: str, kind: str, n: int, rows: np.ndarray) -> str:
    names = ", ".join(subject.name_of(m, int(r)) for r in rows[:SHOWN])
    return f"{WORDS[kind]}: {n:,} row{'s' * (n != 1)} ({names}{' ...' if n > SHOWN else ''})"
