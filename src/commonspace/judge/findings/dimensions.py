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
from commonspace.measure.dimensions import dimensions


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

    def lacks(self, subject: Subject) -> str | None:
        """Return None: vectors are enough."""
        return None

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        limit = check_share("useless", self.useless)
        found = []
        for m in subject.modalities:
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            if len(rows) < 10:
                continue
            groups = subject.codes(m)[rows] if m in subject.things else None
            seen = dimensions(units, groups=groups, random_state=rng)
            useless = len(set(seen.dead) | {j for j, *_ in seen.redundant}) / seen.dim
            top = seen.top_share.value if seen.dominating else 0.0
            parts = []
            if seen.dead:
                parts.append(f"{len(seen.dead)} are dead ({_first(seen.dead)})")
            if seen.redundant:
                parts.append(f"{len(seen.redundant)} repeat another ({_first([j for j, *_ in seen.redundant])})")
            if seen.dominating:
                names = _first([j for j, _ in seen.dominating])
                parts.append(f"{len(seen.dominating)} dominate ({names}), the largest with {top:.0%} of the length")
            shares = np.sort(np.square(units.astype(np.float64)).mean(axis=0))[::-1]
            places = np.arange(1, seen.dim + 1, dtype=float)
            found.append(
                Found(
                    "dimensions",
                    m,
                    float(min(1 - useless, 1 - top)),
                    useless > limit or bool(seen.dominating),
                    f"Of {seen.dim} dimensions {'; '.join(parts) if parts else 'none is dead, repeated or dominating'}"
                    f". Stored as {seen.precision}, by the look of the numbers.",
                    evidence={
                        "share dead": seen.dead_share,
                        "share redundant": seen.redundant_share,
                        "share dominating": seen.dominating_share,
                        "largest share of the squared length": seen.top_share,
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


def _first(numbers: object, most: int = 5) -> str:
    listed = list(numbers)  # type: ignore[call-overload]
    return ", ".join(map(str, listed[:most])) + (" ..." if len(listed) > most else "")
