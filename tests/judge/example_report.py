"""A report with one of everything, hostile words among it."""

import numpy as np

from commonspace.judge import Bars, Case, Curve, Histogram, Report, Scatter, Section, Sheet
from commonspace.measure import compare_many, estimate

EVIL = "<script>alert('x')</script>"


def values(seed=0, n=200):
    """Hits of three systems."""
    rng = np.random.default_rng(seed)
    return {name: (rng.random(n) < p).astype(float) for name, p in (("base", 0.3), ("better", 0.6), ("same", 0.31))}


def pictures():
    """One of each kind."""
    rng = np.random.default_rng(1)
    x = np.arange(1, 1001)
    y = 1 - 1 / np.sqrt(x)
    return (
        Curve(
            "Ranks", "rank", "share", {"text->image": (x, y, y - 0.1, y + 0.1), EVIL: (x, y / 2)}, log_x=True,
            references={"chance": (x, x / 1000)}, note="How far down one must look.",
        ),
        Bars("Hubs", "item", "times found", ["cat", EVIL, "cost $1_000$"], [3, 9, 4], [2, 7, 3], [4, 11, 5]),
        Histogram("Norms", "length", "rows", [0.0, 0.5, 1.0], {"image": [1, 5], "text": [4, 2]}, {"limit": 0.4}),
        Scatter(
            "Gap", "first", "second", {m: (rng.normal(size=1800), rng.normal(size=1800)) for m in ("image", "text")},
            [(0.0, 0.0, 1.0, 1.0), (1.0, 0.0, 0.0, 1.0)],
        ),
    )  # fmt: skip


def report(drawn=True):
    """Everything a report can hold."""
    hits = values()
    first, second, third = compare_many(hits)
    figures = {name: estimate(v, "hit@1", bounds=(0, 1)) for name, v in hits.items()}
    picture = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    answers = tuple(Case(picture, f"answer {i}", f"score {i / 10:.2f}", "image", right=i == 1) for i in range(3))
    sections = [
        Section(
            "What is found",
            f"First {EVIL} part.\n\nSecond part.",
            (
                Sheet(["system", "hit@1", "chance"], [[n, e, 0.01] for n, e in figures.items()], "A note.", "Figures"),
                Sheet(["pair", "difference"], [["one", first], ["two", second], [EVIL, third]]),
                Sheet(["nothing"], []),
            ),
            pictures() if drawn else (),
            flag=True,
        ),
        Section(
            "What fails",
            cases=(
                Case(f"{EVIL} a query", f"id {EVIL}", "rank 40", answers=answers),
                Case(picture, "asks", "rank 3", "image", answers=answers[:1]),
                Case(b"not an image", f"broken {EVIL}", "", "image"),
                Case("no/such/file.png", "gone", "", "image"),
                Case([1.5, 2.5], "a row", "", "vector"),
                Case(None, "nothing to show"),
            ),
            flag=False,
        ),
        Section("More", "All else."),
    ]
    return Report(
        f"A report {EVIL}", "It works.\n\nMostly.", sections, {"seed": 0, "by": EVIL}, {"extra": float("nan")}
    )
