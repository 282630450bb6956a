"""The verdict of an evaluation, in words that claim no more than the tests show."""

from __future__ import annotations

from collections.abc import Sequence

from commonspace.judge.evaluating.judged import LEVEL, Judged, effect
from commonspace.judge.pages.cells import alike, number
from commonspace.measure import Comparison, Estimate

FEW = 4  # directions that are each given a sentence


def headline(metrics: Sequence[str]) -> str:
    """Return the metric that verdicts speak of: the share that is right at once, or else the first one given."""
    return next((m for m in ("hit@1", "hit@5", "hit@10", "mrr") if m in metrics), metrics[0])


def verdict(
    judged: Sequence[Judged],
    name: str,
    back_and_forth: Sequence[tuple[Judged, Judged, Comparison]] = (),
    more: Sequence[str] = (),
) -> str:
    """Return the verdict as paragraphs.

    Parameters
    ----------
    judged : sequence of Judged
    name : str
        The metric to speak of.
    back_and_forth : what `weaker` returns
    more : sequence of str
        Sentences about what else was compared.
    """
    ways = sorted(judged, key=lambda j: j.figures[name].value, reverse=True)
    parts = [works(judged, name)]
    if len(ways) > FEW:
        parts += [f"Best of {len(ways)} directions: {found(ways[0], name)}", f"Worst: {found(ways[-1], name)}"]
    else:
        parts += [found(j, name) for j in judged]
    between = [direction_words(c, name) for _, _, c in back_and_forth]
    return "\n\n".join(p for p in (*parts, *between, *more) if p)


def works(judged: Sequence[Judged], name: str) -> str:
    """Return in which directions search finds more than what costs nothing; nothing where no test says so."""
    if not any(name in j.gains for j in judged):
        return ""
    outcome = {j.direction.title: j.outcome(name) for j in judged}
    good = [t for t, o in outcome.items() if o == "better"]
    if len(good) == len(outcome):
        every = {1: f"Search works, {good[0]}", 2: "Search works in both directions"}
        against = _joined(sorted({j.gains[name].b for j in judged}))
        return every.get(len(good), f"Search works in all {len(good)} directions") + f": it finds more than {against}."
    parts = [f"Search works, {_joined(good)}."] if good else ["Search is not shown to work in any direction."]
    for j in judged:
        if j.outcome(name) == "worse":
            parts.append(f"{j.direction.title} finds less than {j.gains[name].b}.")
        elif j.outcome(name) == "no difference shown":
            parts.append(f"{j.direction.title} is not shown to find more than {j.gains[name].b}.")
    return " ".join(parts)


def found(judged: Judged, name: str) -> str:
    """Return what one direction finds, in a sentence."""
    figure, chance = judged.figures[name], next(iter(judged.baselines.values()))[name]
    ten = judged.figures.get("hit@10")
    further = f", and one of the first ten for {shown(ten, 'hit@10')}" if ten and name == "hit@1" else ""
    what = {"hit@1": "the first answer is right for"}.get(name) or (
        f"one of the first {name[4:]} answers is right for" if name.startswith("hit@") else f"{name} is"
    )
    of = f" of {figure.n:,} queries" if name.startswith("hit@") else f" over {figure.n:,} queries"
    return (
        f"{judged.direction.title}: {what} {_value(figure.value, name)}{of} ({_between(figure, name)}), by chance "
        f"{_value(chance.value, name)}{further}."
    )


def direction_words(difference: Comparison, name: str) -> str:
    """Return which direction is weaker, if the same things show it."""
    what = effect(difference, name)
    if what == "no difference shown":
        return f"No difference between {difference.a} and {difference.b} is shown{_seen(difference)}."
    low = difference.b if what == "better" else difference.a
    return (
        f"{low} is the weaker direction: for the same {difference.n:,} things, {difference.a} minus {difference.b} is "
        f"{_gap(difference, name)}."
    )


def system_words(difference: Comparison, name: str, title: str) -> str:
    """Return which of two systems finds more, if the same queries show it."""
    what = effect(difference, name)
    if what == "no difference shown":
        return f"{title}: no difference between {difference.a} and {difference.b} is shown{_seen(difference)}."
    verb = "more" if what == "better" else "less"
    return f"{title}: {difference.a} finds {verb} than {difference.b}, {_gap(difference, name)}."


def _gap(difference: Comparison, name: str) -> str:
    value, low, high = alike(difference.difference, difference.low, difference.high, sign="+")
    return f"{value} in {name} ({low} to {high}, {p_words(difference)})"


def p_words(difference: Comparison) -> str:
    """Return a p-value as people write it."""
    return "p<0.001" if difference.p_value < 0.001 else f"p={difference.p_value:.3f}"


def shown(figure: Estimate, name: str) -> str:
    """Return a figure with its interval."""
    return f"{_value(figure.value, name)} ({_between(figure, name)})"


def _seen(difference: Comparison) -> str:
    """Return how small a difference would have been seen, where that is known."""
    least = getattr(difference, "detectable", float("nan"))
    return f" (one of {least:.3f} would have been)" if least == least and difference.p_value >= LEVEL else ""


def _between(figure: Estimate, name: str) -> str:
    return f"{_value(figure.low, name, unit=False)} to {_value(figure.high, name)}"


def _value(value: float, name: str, *, unit: bool = True) -> str:
    if not name.startswith("hit@"):
        return number(value)
    if unit and 0 < value < 0.0005:
        return "less than 0.1 %"
    return f"{100 * value:.1f}" + (" %" if unit else "")


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
