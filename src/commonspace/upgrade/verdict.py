"""What to do about a new space, by a rule that is stated.

In this order, with o the old space, n a full re-embed, and every direction meant:

    do not upgrade      n is not better than o in any direction, or worse in one, beyond chance
    re-embed            unless the largest share of the items, encoded anew, is shown to be enough
    partial backfill    the smallest share down to which each is shown to be enough
    bridge              if every share is, and a bridge, too

An option q is shown to be enough if q / n is at least `keep` with the confidence asked for (by the lower end of a
one-sided interval, jointly for the options of a step), and q is not worse than o beyond chance. The steps are tested in
a fixed order, so that the chance of going further than is enough is at most 1 - confidence, however many are tried (see
`steps`, also for what that does not bound). Of the options of a step the cheapest that is enough is taken.

The verdict is `certain` where the intervals leave room for no other: no later step reaches `keep` by its upper end,
and, where the answer is no, a gain that is `worth` the trouble would have been seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_share
from commonspace.measure.statistics.comparison import Comparison
from commonspace.upgrade.options import Option
from commonspace.upgrade.steps import Step

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
    confidence : float
        With which what is advised keeps enough.
    """

    keep: float = 0.95
    worth: float = 0.02
    level: float = 0.05
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_share("keep", self.keep)
        check_share("worth", self.worth)
        check_share("level", self.level)
        if check_share("confidence", self.confidence) <= 0.5:
            raise BadInput(f"confidence must be above 0.5, not {self.confidence}: at 0.5 a bare figure decides")

    def text(self, labelled: bool) -> str:
        """Return the rule in words."""
        if labelled:
            first = (
                "Do not upgrade if a full re-embed is not better than the old space in any direction, or worse in one "
                f"(p < {self.level:g}, corrected over the directions). Otherwise re-embed, unless less is enough."
            )
            also = ", and is not worse than the old space in any"
        else:
            first = (
                "Nothing says what is right, so that what a full re-embed finds counts as right: whether the new space "
                "is better than the old one is not known, and the answer cannot be not to upgrade. "
                "Re-embed, unless less is enough."
            )
            also = ""
        return (
            f"{first} What is enough keeps at least {self.keep:g} of the "
            f"quality of a full re-embed in every direction, with {percent(self.confidence)} confidence{also}. Shares "
            "encoded anew are tested from the largest to the smallest, the bridges last, up to the first that is not "
            "shown to be enough; the last that is gives the verdict, partial backfill or bridge."
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


def decide(options: Sequence[Option], steps: Sequence[Step], rule: Rule) -> Verdict:
    """Return the verdict by the rule.

    Parameters
    ----------
    options : sequence of Option
        All that was measured.
    steps : sequence of (sequence of Option)
        Those of each step, dearest step and cheapest option first, with one-sided intervals (see `steps`).
    rule : Rule
    """
    by_name = {o.name: o for o in options}
    new = by_name["re-embed"]
    gains = [f"{d}: {_gain(c)}" for d, c in new.against_old.items()]
    if new.against_old and (rule.worse(new) or not rule.better(new)):
        certain, why = _refused(new, rule)
        return Verdict("do not upgrade", by_name["keep"], certain, (*gains, *why))
    if not steps:
        return Verdict("re-embed", new, True, (*gains, "Nothing less than a full re-embed was measured."))
    passed = list(itertools.takewhile(lambda o: o is not None, (_cheapest(step, rule) for step in steps)))
    certain, why = _left_open(steps[len(passed) :], rule)
    last = passed[-1] if passed else None
    if last is None:
        return Verdict("re-embed", new, certain, (*gains, *why))
    far, beyond = _beyond(last, rule)
    said = (f"{last.name} keeps {_kept(last, rule)}.", *_than_old(last, rule), *why, *beyond)
    return Verdict(_WORDS[last.kind], by_name[last.name], certain and not far, (*gains, *said))


def _cheapest(step: Step, rule: Rule) -> Option | None:
    """Return the cheapest option of a step that is enough, None if none is."""
    return next((o for o in step if rule.enough(o)), None)


def _refused(new: Option, rule: Rule) -> tuple[bool, list[str]]:
    """Return whether a "no" is certain, and why it was said."""
    if worse := rule.worse(new):
        better = rule.better(new)
        also = f", though better in {', '.join(better)}" if better else ""
        said = [f"The new space is worse in {', '.join(worse)}{also}."]
        if better:
            said.append(f"Every direction has a veto; those that count can be named: directions={better}.")
        return True, said
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


def _left_open(left: Sequence[Step], rule: Rule) -> tuple[bool, list[str]]:
    """Return whether it is certain that none of the steps left is enough, and where the tests stopped."""
    if not left:
        return True, []
    first = max(left[0], key=_in_truth)
    blind = [d for d, e in first.kept.items() if math.isnan(e.value)]
    if blind:
        said = [f"A full re-embed finds nothing in {', '.join(blind)}, so that nothing is shown to be enough there."]
        if others := [d for d in first.kept if d not in blind]:
            said.append(f"Directions that count can be named: directions={others}.")
    elif worse := rule.worse(first):
        said = [f"{first.name} is worse than the old space in {', '.join(worse)}."]
    else:
        said = [f"{first.name} is not shown to be enough: it keeps {_kept(first, rule)}."]
    maybe = [o for step in left for o in step if not rule.hopeless(o)]
    if not maybe or blind:
        return not maybe, said
    likely = max(maybe, key=_in_truth)
    e = likely.kept[likely.worst]
    room = abs(e.value - rule.keep)
    times = ((e.value - e.low if e.value > rule.keep else e.high - e.value) / room) ** 2 if room > 0 else math.inf
    more = "" if likely is first else f": it keeps {_kept(likely, rule)}"
    return False, [*said, f"{likely.name} may be enough all the same{more}. {_more(e.n, times)} to tell."]


def _in_truth(option: Option) -> float:
    """Return what an option keeps as measured, in its worst direction."""
    return min(e.value for e in option.kept.values())


def _beyond(option: Option, rule: Rule) -> tuple[bool, list[str]]:
    """Return whether it would keep too little in a gallery as large as the corpus, if the trend goes on."""
    said, far = [], False
    for d, t in option.trend.items():
        if t.doublings and t.at_corpus.value < rule.keep:
            far = far or t.change.high < 0
            said.append(
                f"In {d} what {option.name} keeps changes by {t.change} from half of the gallery to all of it. Should "
                f"every doubling change it as much, {t.at_corpus} are kept at the size of the corpus: an extrapolation "
                f"over {t.doublings:.1f} doublings."
            )
    return far, said


def percent(share: float) -> str:
    """Return a share as people read it, with all its digits: ``"99.5%"``."""
    return f"{100 * share:.10g}%"


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


def _kept(option: Option, rule: Rule) -> str:
    e = option.kept[option.worst]
    least = math.floor(e.low * 1000) / 1000  # what is not shown to be enough must not read as if it were
    where = option.worst if e.metric == "kept" else f"{option.worst}, {e.metric.removeprefix('kept ')}"
    sure = percent(rule.confidence)
    return f"{e.value:.3f} of a full re-embed in {where}, at least {least:.3f} with {sure} confidence"
