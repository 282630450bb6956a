"""`Scale`: scores across a bridge, on the scale of the new space's own.

A cosine with a vector that was carried over is lower than with the vector the new encoder would have given, and spread
otherwise. Ranked side by side as they are, items that were encoded anew would push away the others whether they fit or
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scale:
    """A line from scores across the bridge to scores of the new space.

    Parameters
    ----------
    slope : float
        Above 0, so that the order of the items is kept.
    shift : float
        What is added.
    """

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: Any) -> Any:
        """Return scores of the new space's scale."""
        return np.asarray(scores) * self.slope + self.shift

    def to_dict(self) -> dict[str, float]:
        """Return the fields, ready for JSON."""
        return {"slope": self.slope, "shift": self.shift}
