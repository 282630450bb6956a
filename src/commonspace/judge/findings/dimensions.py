"""Does every dimension say something, and none of them everything?

    score = min(1 - dead - redundant, 1 - largest share of the squared length, where it dominates)

A dimension is dead if it hardly varies, redundant if it is correlated by more than 0.99 with an earlier one, and
dominating if it holds more than ten fair shares of the squared length (at most half of it). The flag goes up where more
than 5 % of the dimensions are dead or redundant, which is memory and time for nothing, or where any dominates, because
it decides every cosine.

This looks at single dimensions: a space that has been rotated has none that is dead, however few it fills. See
`collapse` for that.
"""

from __future__ import annotations

import numpy as np

from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Curve
from commonspace.judge.subject import Subject
from commonspace.measure.health.dimensions import Dimensions as Measured
from commonspace.measure.health.dimensions import dimensions
from commonspace.measure.health.norms import TOLERANCE
from commonspace.measure.statistics.robust import robust_z

LEAST = 10
FAR = 6.0  # robust z of the log length, as in `norms`


@register("dimensions", protocol="Finding", claim="judge/findings")
class Dimensions(Finding):
    """Dimensions that say nothing, the same as another, or everything.

    Parameters
    ----------
    useless : float
        Share of dead and redundant dimensions above which the flag goes up.
    most : int
        Rows of a modality that are looked at.
    """

    title = "Single dimensions"

    def __init__(self, *, useless: float = 0.05, most: int = 20_000) -> None:
        self.useless = useless
        self.most = most

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        limit = check_share("useless", self.useless)
        found = []
        for m in subject.modalities:
            looked = looked_at(subject, m, check_positive("most", self.most), rng)
            if looked is None:
                continue
            units, seen, length = looked
            useless = len(set(seen.dead) | {j for j, *_ in seen.redundant}) / seen.dim
            top = length.top_share.value if length.dominating else 0.0
            parts = []
            if seen.dead:
                parts.append(f"{len(seen.dead)} dead ({_first(seen.dead)})")
            if seen.redundant:
                parts.append(f"{len(seen.redundant)} repeating another ({_first([j for j, *_ in seen.redundant])})")
            if length.dominating:
                names = _first([j for j, _ in length.dominating])
                parts.append(f"{len(length.dominating)} dominating ({names}), the largest with {top:.0%} of the length")
            shares = np.sort(np.square(units.astype(np.float64)).mean(axis=0))[::-1]
            places = np.arange(1, seen.dim + 1, dtype=float)
            found.append(
                Found(
                    "dimensions",
                    m,
                    float(min(1 - useless, 1 - top)),
                    useless > limit or bool(length.dominating),
                    f"Of {seen.dim} dimensions: {'; '.join(parts) or 'none dead, repeated or dominating'}.",
                    evidence={
                        "share dead": seen.dead_share,
                        "share redundant": seen.redundant_share,
                        "share dominating": length.dominating_share,
                        "largest share of the squared length": length.top_share,
                    },
                    pictures=(
                        Curve(
                            f"Squared length by dimension ({m})",
                            "dimension, largest first",
                            "share of the squared length",
                            {m: (places.tolist(), shares.tolist())},
                            log_x=True,
                            references={"fair share": ([1.0, float(seen.dim)], [1 / seen.dim] * 2)},
                        ),
                    ),
                    remedy="drop-dimensions",
                    advice="Leave these dimensions out: dead and repeated ones cost memory for nothing, a dominating "
                    "one hides what the others say.",
                )
            )
        return found


def looked_at(
    subject: Subject, m: str, most: int, rng: np.random.Generator
) -> tuple[np.ndarray, Measured, Measured] | None:
    """Return a sample of unit rows, what is said of the rows as they are stored, and what of the unit rows.

    None where there are too few. A column that is constant as it is stored varies in unit rows; which dimension
    dominates cosines is seen in unit rows only. Rows far longer or shorter than all others are left out, because one of
    them would correlate every column with every other.
    """
    rows, units = subject.sample(m, most, rng)
    raw = np.asarray(subject.vectors[m][rows], np.float64)
    usual = np.abs(robust_z(np.log(np.linalg.norm(raw, axis=1)), least=TOLERANCE)) <= FAR
    rows, units, raw = rows[usual], units[usual], raw[usual]
    if len(rows) < LEAST:
        return None
    groups = subject.codes(m)[rows] if m in subject.things else None
    return units, dimensions(raw, groups=groups, random_state=rng), dimensions(units, groups=groups, random_state=rng)


def _first(numbers: object, most: int = 5) -> str:
    listed = list(numbers)  # type: ignore[call-overload]
    return ", ".join(map(str, listed[:most])) + (" ..." if len(listed) > most else "")
