"""What to do about a new space, by a rule that is stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commonspace.core.vectors import check_share
from commonspace.measure.statistics.comparison import Comparison
from commonspace.upgrade.options import Option

VERDICTS = ("bridge", "partial backfill", "re-embed", "do not upgrade")


@dataclass(frozen=True)
class Rule:
    """When which verdict is given.

    Parameters
    ----------
    keep : float
        Share of the quality of a full re-embed that is enough.
    level : float
        Of the tests against the old space.
    """

    keep: float = 0.95
    level: float = 0.05

    def __post_init__(self) -> None:
        check_share("keep", self.keep)
        check_share("level", self.level)

    def text(self, labelled: bool) -> str:
        """Return the rule in words."""
        k = f"{self.keep:.0%}"
        first = (
            f"Do not upgrade if a full re-embed is not better than the old space in any direction, or worse in one "
            f"(p < {self.level:g}, corrected over directions)."
            if labelled
            else "Whether the new space is better than the old one is not known, because no labels say what is right."
        )
        second = f"the lower end of what it keeps is at least {k} of a full re-embed in every direction" + (
            ", and it is not worse than the old space in any" if labelled else ""
        )
        return (
            f"{first} Bridge: the cheapest bridge of which {second}. Partial backfill: the smallest share of items "
            "re-embedded, the others served through the best bridge, of which the same is true. Re-embed otherwise."
        )


@dataclass(frozen=True)
class Verdict:
    """What to do, and why.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    chosen : Option
        What it means here.
    certain : bool
        Whether the intervals leave no room for another verdict.
    reasons : tuple of str
        In words.
    """

    verdict: str
    chosen: Option
    certain: bool
    reasons: tuple[str, ...]


def decide(options: Sequence[Option], rule: Rule) -> Verdict:
    """Return the verdict by the rule."""
    by_name = {o.name: o for o in options}
    old, new = by_name["keep"], by_name["re-embed"]
    if new.against_old:
        worse = [d for d, c in new.against_old.items() if c.p_value < rule.level and c.difference < 0]
        better = [d for d, c in new.against_old.items() if c.p_value < rule.level and c.difference > 0]
        if worse or not better:
            return _no(old, new, better, worse)
    reasons = [_gain(c) for c in new.against_old.values()]
    for kind, verdict in (("bridge", "bridge"), ("partial", "partial backfill")):
        enough = [o for o in options if o.kind == kind and _enough(o, rule)]
        if enough:
            chosen = min(enough, key=lambda o: (o.cost.encoder_calls, o.cost.bytes_written, -o.least_kept))
            return Verdict(verdict, chosen, True, (*reasons, _kept(chosen, rule)))
    return Verdict("re-embed", new, True, (*reasons, "No bridge and no share of a re-embed keeps enough."))


def _enough(option: Option, rule: Rule) -> bool:
    worse = any(c.p_value < rule.level and c.difference < 0 for c in option.against_old.values())
    return option.least_kept >= rule.keep and not worse


def _no(old: Option, new: Option, better: list[str], worse: list[str]) -> Verdict:
    said = [_gain(c) for c in new.against_old.values()]
    return Verdict("do not upgrade", old, bool(worse), tuple(said))


def _gain(c: Comparison) -> str:
    return str(c)


def _kept(option: Option, rule: Rule) -> str:
    worst = min(option.kept, key=lambda d: option.kept[d].low)
    return f"{option.name} keeps {option.kept[worst]} of a full re-embed in {worst}, at least {rule.keep:g} is asked."
