"""What most claims of this folder collect: several figures of several systems, one value a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from claims.align._data import interval


class Figures:
    """Values by system and figure; every system has seen the same seeds in the same order."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}

    def add(self, system: str, found: Mapping[str, float]) -> None:
        """Take in what a system reached with one seed: figure -> value."""
        row = self.values.setdefault(system, {})
        for figure, value in found.items():
            row.setdefault(figure, []).append(value)

    def means(self, digits: int = 3) -> dict[str, dict[str, float]]:
        """Return system -> figure -> mean over seeds, rounded."""
        return {s: {k: round(float(np.mean(v)), digits) for k, v in row.items()} for s, row in self.values.items()}

    def gain(self, figure: str, system: str, over: str = "infonce") -> tuple[float, float, float]:
        """Return by how much a system is above another, with its 95 % t interval over seeds."""
        return interval(np.subtract(self.values[system][figure], self.values[over][figure]).tolist())

    def words(self, figure: str, system: str, over: str = "infonce") -> str:
        """Return the gain as a reader wants it: ``+0.012 [+0.004, +0.020]``."""
        mean, low, high = self.gain(figure, system, over)
        return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    def outcome(self, figure: str, system: str, over: str = "infonce", *, digits: int = 3) -> dict[str, Any]:
        """Return figure, baseline, difference, its interval, seeds and verdict; higher is better."""
        difference, low, high = self.gain(figure, system, over)
        means = self.means(digits)
        return {
            "figure": means[system][figure],
            "baseline": means[over][figure],
            "difference": difference,
            "low": low,
            "high": high,
            "seeds": len(self.values[system][figure]),
            "verdict": "holds" if low > 0 else "does not hold" if high < 0 else "depends",
        }
