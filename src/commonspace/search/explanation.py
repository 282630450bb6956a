"""`Explanation`: how a search was done, with what was estimated and what it found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from commonspace.search.planner import Plan


@dataclass(frozen=True)
class Explanation:
    """How the queries of one call were answered.

    Parameters
    ----------
    items : int
        Items of the version that was read.
    version : int
        That version.
    where : str or None
        The filter.
    selected : int
        Items for which it is true; all without one.
    filter_ms : float
        Milliseconds in which the store evaluated it.
    search_ms : float
        Milliseconds of the comparisons, encoding the queries and reading fields not counted.
    plans : dict of str to list of Plan
        Modality -> what was done with each segment, and with the vectors that are in none.
    """

    items: int
    version: int
    where: str | None
    selected: int
    filter_ms: float
    search_ms: float
    plans: dict[str, Sequence[Plan]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "plans": {m: [p.to_dict() for p in plans] for m, plans in self.plans.items()}}

    def __str__(self) -> str:
        share = 100 * self.selected / self.items if self.items else 0.0
        lines = [f"{self.items:,} items in version {self.version}"]
        if self.where is not None:
            lines.append(
                f"filter {self.where}: {self.selected:,} items ({share:.3g} %), evaluated in {self.filter_ms:.1f} ms"
            )
        for modality, plans in self.plans.items():
            for p in plans:
                of = f"{p.selected:,} of {p.vectors:,} vectors"
                line = f"{modality}: {p.way}, {of}: {p.why}"
                if p.way == "index":
                    looked = "all cells" if p.probes is None else f"{p.probes} cells"
                    line += f"; {looked} looked at, {p.shortlist} vectors re-ranked"
                if p.way == "graph":
                    line += f"; {p.beam} vectors kept while walking"
                if p.index_ms < math.inf:
                    walk = f", {p.graph_ms:.2g} ms graph" if p.graph_ms < math.inf else ""
                    line += f" (estimated {p.exact_ms:.2g} ms exact, {p.index_ms:.2g} ms index{walk})"
                lines.append(line)
        lines.append(f"compared in {self.search_ms:.1f} ms")
        return "\n".join(lines)
