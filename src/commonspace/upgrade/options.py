"""What can be done about a new space, each with its quality and its price."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from commonspace.core.errors import BadInput
from commonspace.measure.statistics.comparison import Comparison
from commonspace.measure.statistics.estimates import Estimate

KINDS = ("keep", "bridge", "partial", "rescore", "re-embed")
NUMBER = 4  # bytes of a stored number


@dataclass(frozen=True)
class Corpus:
    """What is to be upgraded, for the costs.

    Parameters
    ----------
    items : mapping of str to int
        Modality -> items in the collection.
    seconds : mapping of str to float
        Modality -> seconds that the new encoder takes for an item; not known where it is missing.
    measured_on : str
        How the seconds were found, in words.
    """

    items: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict)
    measured_on: str = ""

    def __post_init__(self) -> None:
        for m, n in self.items.items():
            if not isinstance(n, numbers.Real) or not (n >= 0 and float(n).is_integer()):
                raise BadInput(f"the corpus cannot hold {n!r} items of {m}: give a whole number")
        object.__setattr__(self, "items", {m: int(n) for m, n in self.items.items()})
        for m, s in self.seconds.items():
            if m not in self.items or not (math.isfinite(s) and s >= 0):
                raise BadInput(f"seconds must name modalities of the corpus and be at least 0, not {m!r}: {s}")

    def doublings(self, modality: str, gallery: int) -> float:
        """Return how often a gallery doubles to become as large as the corpus; 0 if it is no smaller."""
        return max(math.log2(max(self.items.get(modality, gallery), 1) / max(gallery, 1)), 0.0)

    @property
    def total(self) -> int:
        """Items of all modalities."""
        return sum(self.items.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"items": dict(self.items), "seconds": dict(self.seconds), "measured_on": self.measured_on}


@dataclass(frozen=True)
class Cost:
    """What an option costs.

    Parameters
    ----------
    encoder_calls : int
        Items of the corpus that the new encoder has to read.
    calls_per_query : float
        Encodings that a query needs, by whichever encoder, its own included.
    bytes_written : int
        Vectors written: 4 bytes a number.
    encode_seconds : float
        Time to encode these items; NaN where the encoder's speed is not known.
    learn_seconds, carry_seconds : float
        Time to learn the bridge, as measured, and to carry the corpus over, as measured on the probes and scaled up.
    """

    encoder_calls: int = 0
    calls_per_query: float = 1.0
    bytes_written: int = 0
    encode_seconds: float = 0.0
    learn_seconds: float = 0.0
    carry_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """All of the time before the option serves its last item; NaN where the encoder's speed is not known."""
        return self.encode_seconds + self.learn_seconds + self.carry_seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; what is not known is None."""
        names = (
            "encoder_calls", "calls_per_query", "bytes_written", "encode_seconds", "learn_seconds", "carry_seconds",
            "seconds",
        )  # fmt: skip
        values = {n: getattr(self, n) for n in names}
        return {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in values.items()}


@dataclass(frozen=True)
class Trend:
    """How what is kept changes with the size of the gallery.

    Parameters
    ----------
    half : Estimate
        Kept in half of the gallery, in which all that is right is still there.
    change : Estimate
        Kept in all of it less that.
    at_corpus : Estimate
        Kept at the size of the corpus if every doubling changed it as much as the last one: an extrapolation, the
        bolder the larger the corpus is beside the probes.
    doublings : float
        From the gallery of the probes to the corpus.
    """

    half: Estimate
    change: Estimate
    at_corpus: Estimate
    doublings: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        figures = {n: plain(getattr(self, n)) for n in ("half", "change", "at_corpus")}
        return {**figures, "doublings": self.doublings}


@dataclass(frozen=True)
class Option:
    """One thing that can be done, measured.

    Parameters
    ----------
    name : str
        ``"keep"``, ``"ridge of items"``, ``"25% re-embedded (asked), ridge of items"`` ...
    kind : {"keep", "bridge", "partial", "rescore", "re-embed"}
    quality : mapping of str to Estimate
        Direction -> the metric.
    kept : mapping of str to Estimate
        Direction -> quality as a share of that of a full re-embed.
    against_old : mapping of str to Comparison
        Direction -> quality less that of the old space. Empty for ``"keep"``, and where what is right is not known.
    cost : Cost
    trend : mapping of str to Trend
        Direction -> how what is kept changes with the size of the gallery.
    bridge : str
        Registered name of the bridge; empty where there is none.
    carries : str
        Which side crosses it.
    share : float
        Share of the items that the new encoder reads.
    order : str
        Which come first: ``"random"``, ``"hits"`` (found by other queries in the old space) or ``"asked"`` (as given).
    depth : int
        Items encoded anew for each query.
    """

    name: str
    kind: str
    quality: Mapping[str, Estimate]
    kept: Mapping[str, Estimate]
    against_old: Mapping[str, Comparison]
    cost: Cost
    trend: Mapping[str, Trend] = field(default_factory=dict)
    bridge: str = ""
    carries: str = ""
    share: float = 0.0
    order: str = ""
    depth: int = 0

    @property
    def least_kept(self) -> float:
        """The lowest lower end of what is kept, over the directions."""
        return self.kept[self.worst].low

    @property
    def most_kept(self) -> float:
        """The lowest upper end of what is kept, over the directions: no more than this in the one that it is of."""
        return min(e.high for e in self.kept.values())

    @property
    def worst(self) -> str:
        """The direction of the lowest lower end."""
        return min(self.kept, key=lambda d: self.kept[d].low)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        names = ("name", "kind", "bridge", "carries", "share", "order", "depth")
        measured = ("quality", "kept", "against_old", "trend")
        figures = {n: {d: plain(e) for d, e in getattr(self, n).items()} for n in measured}
        return {**{n: getattr(self, n) for n in names}, **figures, "cost": self.cost.to_dict()}


def plain(figure: Any) -> dict[str, Any]:
    """Return a figure ready for JSON: numbers that are not finite are None."""
    values: dict[str, Any] = figure.to_dict()
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
