"""Whether models come from one initialisation, which merging needs, read off their weights.

Weights of networks that were trained from different starts are as good as independent even where the functions agree:
units are in another order. Over the matrices of a model, each centred,

    correlation = sum_blocks cov(theta_a, theta_b) / sqrt(sum var(theta_a) sum var(theta_b))

is then 0 up to noise of 1 / sqrt(number of weights), while fine-tuning leaves most of the start in place: above 0.9
after 300 steps of AdamW with a rate of 0.001 (the networks of `claims/upgrade`), 0.4 even after 2,000 with ten times
that rate from a random start, and 0.00 to 0.01 between two starts. Vectors (biases, norms) do not count: they start at
0 or 1 in every network. The proof that the combination itself works is the absence of a barrier, see `barriers`: it
needs data, this does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.warning import warn

NOT_KIN = 0.1  # correlation below which a common start is refused
FEWEST = 100  # weights in matrices, below which nothing can be said
POLICIES = ("refuse", "warn", "ignore")


@dataclass(frozen=True)
class Kinship:
    """How much of one model's weights is in another's.

    Parameters
    ----------
    a, b : str
        The models.
    correlation : float
        As defined above; NaN where there are too few weights.
    noise : float
        What independent weights would show in 95 of 100 cases: 1.96 / sqrt(weights).
    weights : int
        Numbers compared.
    """

    a: str
    b: str
    correlation: float
    noise: float
    weights: int

    @property
    def verdict(self) -> str:
        """``"one start"``, ``"different starts"`` or ``"cannot tell"``."""
        if self.weights < FEWEST or math.isnan(self.correlation):
            return "cannot tell"
        return "different starts" if self.correlation < max(NOT_KIN, self.noise) else "one start"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        found = asdict(self) | {"verdict": self.verdict}
        return found | {"correlation": None if math.isnan(self.correlation) else self.correlation}

    def __str__(self) -> str:
        return f"{self.b} from {self.a}: {self.verdict} (correlation {self.correlation:.2f}, {self.weights:,} weights)"


def kinship(a: str, b: str, pairs: Iterable[tuple[Tensor, Tensor]]) -> Kinship:
    """Return how alike two models are, from their corresponding blocks."""
    shared = mine = theirs = 0.0
    weights = 0
    for x, y in pairs:
        if x.ndim < 2:
            continue
        u, v = (t.double().flatten() - t.double().mean() for t in (x, y))
        shared, mine, theirs = shared + float(u @ v), mine + float(u @ u), theirs + float(v @ v)
        weights += u.numel()
    known = mine > 0 and theirs > 0
    correlation = shared / math.sqrt(mine * theirs) if known else math.nan
    return Kinship(a, b, correlation, 1.96 / math.sqrt(max(weights, 1)), weights)


def insist(found: Iterable[Kinship], unrelated: str) -> None:
    """Refuse, warn of, or let pass models that do not come from one initialisation.

    Parameters
    ----------
    found : iterable of Kinship
    unrelated : {"refuse", "warn", "ignore"}

    Raises
    ------
    BadInput
        If told to refuse.
    """
    check_choice("unrelated", unrelated, POLICIES)
    strangers = [k for k in found if k.verdict == "different starts"]
    if not strangers or unrelated == "ignore":
        return
    message = (
        f"{'; '.join(map(str, strangers))}: such models lie in different valleys of the loss, and what lies between "
        "is good at nothing. Fine-tune all of them from one set of weights (and give that as the base), or keep them "
        "apart as an ensemble"
    )
    if unrelated == "refuse":
        raise BadInput(message + '; unrelated="warn" merges all the same')
    warn(message)


def cosines(gram: np.ndarray) -> np.ndarray:
    """Return the cosines that belong to inner products (k, k); 0 for a vector of length zero."""
    length = np.sqrt(np.diag(gram))
    found: np.ndarray = gram / np.maximum(np.outer(length, length), np.finfo(np.float64).tiny)
    return found
