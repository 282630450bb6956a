"""What to do about a new space, by a rule that is stated.

In this order, with q the metric of an option, o the old space, n a full re-embed, and every direction meant:

    do not upgrade      n is not better than o in any direction, or worse in one, beyond chance
    bridge              q / n is at least `keep` by the lower end of its interval, and q is not worse than o beyond
                        chance, for a bridge; the cheapest of them
    partial backfill    the same for a share of the items encoded anew; the smallest of them
    re-embed            otherwise

The lower ends hold for all bridges and shares at once, because the verdict picks among them: whichever it picks, the
chance that it keeps less than its interval says is at most 1 - confidence. The verdict is `certain` where the intervals
leave room for no other: nothing cheaper reaches `keep` by its upper end, and, where the answer is no, a gain that is
`worth` the trouble would have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from commonspace.core.vectors import check_share
from commonspace.measure.statistics.comparison import Comparison
from commonspace.upgrade.options import Option

VERDICTS = ("bridge", "partial backfill", "re-embed", "do not upgrade")
_WORDS = {"bridge": "bridge", "partial": "partial backfill"}
_MANY = 100  # times as many queries, beyond which no number is named


@dataclass(frozen=True)
class Rule:
    """When which verdict is given.

    Parameters
    ----------
    keep : float
        Share of the quality of a full re-embed that is enough.
    worth : float
        Gain over the old space, in the metric, below which an upgrade is not worth it; decides only whether a "no" is
        certain.
    level : float
        Of the tests against the old space.
    """

    keep: float = 0.95
    worth: float = 0.02
    level: float = 0.05

    def __post_init__(self) -> None:
        check_share("keep", self.keep)
        check_share("worth", self.worth)
        check_share("level", self.level)

    def text(self, labelled: bool) -> str:
        """Return the rule in words."""
        if labelled:
            first = (
                "Do not upgrade if a full re-embed is not better than the old space in any direction, or worse in one "
                f"(p < {self.level:g}, corrected over the directions)."
            )
            also = ", and which is not worse than the old space in any"
        else:
            first = (
                "Nothing says what is right, so that what a full re-embed finds counts as right: whether the new space "
                "is better than the old one is not known, and the answer cannot be not to upgrade."
            )
            also = ""
        return (
            f"{first} Bridge: the cheapest bridge which keeps at least {self.keep:g} of the quality of a full re-embed "
            f"in every direction, by the lower end of its interval{also}. Partial backfill: the smallest share encoded "
            "anew, the rest served as measured, of which the same is true. Re-embed otherwise."
        )

    def enough(self, option: Option) -> bool:
        """Return whether an option keeps enough, and is not worse than what there is."""
        return option.least_kept >= self.keep and not self.worse(option)

    def hopeless(self, option: Option) -> bool:
        """Return whether more queries would not make it enough."""
        return option.most_kept < self.keep or bool(self.worse(option))

    def worse(self, option: Option) -> list[str]:
        """Return the directions in which an option is worse than the old space, beyond chance."""
        return [d for d, c in option.against_old.items() if c.p_value < self.level and c.difference < 0]

    def better(self, option: Option) -> list[str]:
        """Return the directions in which it is better."""
        return [d for d, c in option.against_old.items() if c.p_value < self.level and c.difference > 0]


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
    new = by_name["re-embed"]
    gains = [f"{d}: {_gain(c)}" for d, c in new.against_old.items()]
    if new.against_old and (rule.worse(new) or not rule.better(new)):
        certain, why = _refused(new, rule)
        return Verdict("do not upgrade", by_name["keep"], certain, (*gains, *why))
    tried = sorted((o for o in options if o.kind in _WORDS), key=_price)
    for i, option in enumerate(tried):
        if rule.enough(option):
            cheaper = [o for o in tried[:i] if _price(o)[:4] < _price(option)[:4]]
            certain, why = _left_open(cheaper, rule)
            far, beyond = _beyond(option, rule)
            said = (f"{option.name} keeps {_kept(option)}.", *_than_old(option, rule), *why, *beyond)
            return Verdict(_WORDS[option.kind], option, certain and not far, (*gains, *said))
    certain, why = _left_open(tried, rule)
    best = max(tried, key=lambda o: o.least_kept, default=None)
    said = () if best is None else (f"Nothing less keeps enough; most does {best.name}: {_kept(best)}.",)
    return Verdict("re-embed", new, certain, (*gains, *said, *why))


def _price(option: Option) -> tuple[bool, int, float, int, float]:
    """Return what orders options from cheap to dear, what keeps more before what keeps less at the same price."""
    cost = option.cost
    return option.kind != "bridge", cost.encoder_calls, cost.calls_per_query, cost.bytes_written, -option.least_kept


def _refused(new: Option, rule: Rule) -> tuple[bool, list[str]]:
    """Return whether a "no" is certain, and why it was said."""
    if worse := rule.worse(new):
        also = f", though better in {', '.join(b)}" if (b := rule.better(new)) else ""
        return True, [f"The new space is worse in {', '.join(worse)}{also}."]
    open_ = {d: c for d, c in new.against_old.items() if c.high >= rule.worth}
    if not open_:
        return True, [f"A gain of {rule.worth:g} would have been seen: there is none."]
    d, c = max(open_.items(), key=lambda one: one[1].high)
    times = (c.detectable / rule.worth) ** 2 if math.isfinite(c.detectable) else math.inf
    return False, [
        f"No gain is shown, but one of {c.high:+.3f} in {d} may have gone unseen. {_more(c.n, times)} to see one of "
        f"{rule.worth:g} in four cases of five."
    ]


def _than_old(option: Option, rule: Rule) -> list[str]:
    """Return how the option stands beside the old space, which it replaces."""
    if not option.against_old:
        return []
    better = rule.better(option)
    same = [d for d in option.against_old if d not in better]
    said = [f"better in {', '.join(better)}"] if better else []
    said += [f"no difference is shown in {', '.join(same)}"] if same else []
    return [f"Beside the old space: {'; '.join(said)}."]


def _left_open(cheaper: Sequence[Option], rule: Rule) -> tuple[bool, list[str]]:
    """Return whether it is certain that nothing cheaper is enough, and what may be."""
    maybe = [o for o in cheaper if not rule.hopeless(o)]
    if not maybe:
        return True, []
    likely = max(maybe, key=lambda o: min(e.value for e in o.kept.values()))
    e = likely.kept[likely.worst]
    room = abs(e.value - rule.keep)
    times = ((e.value - e.low if e.value > rule.keep else e.high - e.value) / room) ** 2 if room > 0 else math.inf
    return False, [f"{likely.name} may be enough, too: it keeps {_kept(likely)}. {_more(e.n, times)} to tell."]


def _beyond(option: Option, rule: Rule) -> tuple[bool, list[str]]:
    """Return whether it would keep too little in a gallery as large as the corpus, if the trend goes on."""
    said, far = [], False
    for d, t in option.trend.items():
        if t.doublings and t.at_corpus.value < rule.keep:
            far = far or t.change.high < 0
            said.append(
                f"In {d} it kept {t.change} more in all of the gallery than in half of it. Should every doubling do "
                f"the same, it would keep {t.at_corpus} at the size of the corpus: an extrapolation over "
                f"{t.doublings:.1f} doublings."
            )
    return far, said


def _more(n: int, times: float) -> str:
    if not times < _MANY:
        return f"More than {_MANY * n:,} queries ({n:,} here) would be needed"
    return f"About {_rounded(max(times, 1.0) * n):,} queries ({n:,} here) would be needed"


def _rounded(n: float) -> int:
    """Return a number with two digits that count."""
    unit = int(10 ** max(len(str(math.ceil(n))) - 2, 0))
    return math.ceil(n / unit) * unit


def _gain(c: Comparison) -> str:
    p = "p<0.001" if c.p_value < 0.001 else f"p={c.p_value:.3f}"
    return f"re-embed - old {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}] {p} n={c.n}"


def _kept(option: Option) -> str:
    return f"{option.kept[option.worst]} of a full re-embed in {option.worst}"
