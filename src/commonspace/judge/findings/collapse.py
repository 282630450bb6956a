"""Do the rows fill the space, or a few of its dimensions?

    score = effective rank of the centred unit rows / the most there can be,    min(dim, n - 1)

The effective rank is the exponential of the entropy of the singular values: about dim for an even cloud, r where all
rows lie in r directions. The mean is taken off first, because a common mean is the business of `isotropy`.

The flag goes up below 0.25: three quarters of what is stored and multiplied then say next to nothing, and a space of a
quarter of the size would give nearly the same neighbours. (Two directions with a hundredth of their length in each of
thirty others have a score of 0.2, so that a much lower limit would miss plain collapse.) A cloud of independent noise
has a score of 1, so that a high one proves nothing: this finding sees a space that has died, not whether it is right.
(For choosing among heads of one family by the rank alone see `spectrum`.)
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_share
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pictures import Curve
from commonspace.judge.subject import Subject
from commonspace.measure.health.spectrum import Spectrum, spectrum


@register(
    "collapse",
    protocol="Finding",
    papers=[
        Paper(
            "RankMe: Assessing the downstream performance of pretrained self-supervised representations by their rank",
            2023,
            "https://arxiv.org/abs/2210.02885",
        )
    ],
    claim="judge/findings",
)
class Collapse(Finding):
    """Rows that fill a few of the dimensions only.

    Parameters
    ----------
    limit : float
        Score below which the flag goes up.
    most : int
        Rows of a modality that are looked at.
    """

    title = "Dimensional collapse"

    def __init__(self, *, limit: float = 0.25, most: int = 20_000) -> None:
        self.limit = limit
        self.most = most

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return one entry a modality."""
        limit = check_share("limit", self.limit)
        found = []
        for m in subject.modalities:
            rows, units = subject.sample(m, check_positive("most", self.most), rng)
            room = min(subject.dim, len(rows) - 1)
            if room < 1:
                continue
            if np.ptp(units, axis=0).max() < 1e-6:  # one point: its spectrum would be that of rounding errors
                found.append(self._point(m, len(rows)))
                continue
            groups = subject.codes(m)[rows] if m in subject.things else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of few rows: said below, in words
                seen = spectrum(units, centred=True, groups=groups, random_state=rng)
            found.append(self._found(m, seen, room, limit))
        return found

    def _found(self, m: str, seen: Spectrum, room: int, limit: float) -> Found:
        rank = seen.rankme if seen.few_rows else seen.effective_rank
        score = float(min(1.0, rank.value / room))
        few = f" There are fewer than two rows a dimension, so that no more than {room} can be seen." * seen.few_rows
        places = np.arange(1, len(seen.values) + 1, dtype=float)
        kept = seen.values > 1e-6 * seen.values[0]
        evidence: dict[str, Any] = {"effective rank": rank, "stable rank": seen.stable_rank}
        evidence |= {"share of the first direction": seen.first_share, "decay of the spectrum": seen.decay}
        return Found(
            "collapse",
            m,
            score,
            score < limit,
            f"The rows fill about {rank.value:.0f} [{rank.low:.0f}, {rank.high:.0f}] of {seen.dim} dimensions.{few}",
            evidence=evidence,
            pictures=(
                Curve(
                    f"Spectrum of {m}",
                    "direction, strongest first",
                    "singular value / sqrt(n)",
                    {m: (places[kept].tolist(), seen.values[kept].tolist())},
                    log_x=True,
                    log_y=True,
                ),
            ),
            remedy="whitening",
            advice="Look for a loss that has collapsed, a learning rate that is too high or labels that are all "
            "alike; or store fewer dimensions. Whitening spreads what there is, noise included.",
            limit=limit,
        )

    def _point(self, m: str, n: int) -> Found:
        return Found(
            "collapse",
            m,
            0.0,
            True,
            f"All of {n:,} rows are the same point.",
            advice="Nothing can be found in this space: fit it again, and look at the loss of the first steps.",
            limit=self.limit,
        )
