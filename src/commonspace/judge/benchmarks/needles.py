"""Needles in long documents: does an encoder see what stands beyond its window?

Every document is filler of a given length with one sentence planted at a given depth. A query asks for one of them:

    passkey   "The pass key of Ada Brandt is 48213."            asked: "What is the pass key of Ada Brandt?"
    needle    "Ada Brandt keeps a red kite in the old mill."    asked: "What does Ada Brandt keep in the old mill?"

All candidates of a length are alike but for the planted sentence, so a system that does not see it is right once in as
many times as there are candidates. What a length costs shows over lengths, what a depth costs over depths.

`chunked` makes an encoder that reads all of a document out of one that reads a window: the mean of the chunks' vectors,
or the best chunk.

Source: the passkey and needle tasks of "LongEmbed: Extending Embedding Models for Long Context Retrieval" (2024).
Lengths here are in words, not in tokens of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, unit
from commonspace.judge.benchmarks.benchmark import Benchmark

LENGTHS = (64, 128, 256, 512, 1024, 2048)
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIRST = [
    "Ada", "Boris", "Clara", "Dario", "Elin", "Farid", "Greta", "Hugo", "Ines", "Jonas",
    "Karin", "Leon", "Mira", "Nils", "Olga", "Pavel", "Rosa", "Sven", "Tilda", "Ugo",
]  # fmt: skip
LAST = [
    "Abel", "Brandt", "Conti", "Duval", "Eriksen", "Falk", "Grau", "Holm", "Ivers", "Jansen",
    "Keller", "Lund", "Moser", "Norén", "Orsini", "Petit",
]  # fmt: skip
COLOURS = [
    "red", "blue", "green", "white", "black", "yellow", "silver", "brown",
]  # fmt: skip
THINGS = [
    "kite", "lantern", "violin", "clock", "basket", "mirror", "saddle", "anchor", "globe", "trumpet",
    "ladder", "drum",
]  # fmt: skip
PLACES = [
    "mill", "harbour", "tower", "library", "garden", "chapel", "stable", "cellar",
]  # fmt: skip
FILLER = (
    "The morning train was late again and nobody on the platform seemed to mind.",
    "Rain had fallen on the hills for most of the week before the market opened.",
    "A clerk carried two boxes of paper up the stairs and set them by the window.",
    "The river runs slowly past the town and turns west behind the old bridge.",
    "Some of the visitors asked about the opening hours, others about the way to the station.",
    "In the afternoon the wind turned and the boats came back one after another.",
    "The committee read the report and agreed to meet again in the spring.",
    "Bread was cheaper that year, while salt and oil cost more than before.",
    "A long wall separates the orchard from the road that leads to the coast.",
    "The lecture began with a short history of maps and ended with a few questions.",
    "Workers repaired the roof, painted the doors and cleaned the gutters.",
    "Several letters arrived without a stamp and were returned to the sender.",
    "The path climbs through a forest of pines until it reaches a meadow.",
    "Children played near the fountain until the lamps were lit.",
    "The museum lent three paintings to a gallery in another city.",
    "Nothing of importance was decided, but the minutes were kept with care.",
)


def needle_benchmarks(
    *,
    task: str = "passkey",
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    queries: int = 50,
    candidates: int = 100,
    filler: Sequence[str] | None = None,
    random_state: RandomState = 0,
) -> dict[int, Benchmark]:
    """Return a benchmark a length, for `run_benchmark` with ``hit@1``.

    Parameters
    ----------
    task : {"passkey", "needle"}
    lengths : sequence of int
        Words a document, the planted sentence included.
    depths : sequence of float
        Where the sentence stands, 0 at the beginning, 1 at the end; documents take turns. The depth of a query's
        answer is in ``benchmark.about["depths"]``.
    queries, candidates : int
        Queries and documents a length.
    filler : sequence of str, optional
        Sentences to fill with, such as those of the corpus that will be searched; sixteen plain ones by default.
    random_state : int, Generator or None
        Seed of names, order of sentences and queries.

    Raises
    ------
    BadInput
        A length too short for the sentence, more queries than candidates, more candidates than there are names.
    """
    check_choice("task", task, ("passkey", "needle"))
    n, asked = check_positive("candidates", candidates), check_positive("queries", queries)
    if asked > n:
        raise BadInput(f"there can be no more queries ({asked}) than candidates ({n})")
    if n > len(FIRST) * len(LAST):
        raise BadInput(f"there are names for {len(FIRST) * len(LAST)} candidates, not {n}")
    if not len(depths) or any(not 0 <= d <= 1 for d in depths):
        raise BadInput(f"depths lie between 0 and 1, got {list(depths)}")
    sentences = [s.split() for s in (FILLER if filler is None else filler) if s.split()]
    if not sentences:
        raise BadInput("filler must hold at least one sentence")
    rng = generator(random_state)
    return {check_positive("length", k): _of_length(task, k, depths, asked, n, sentences, rng) for k in lengths}


def _of_length(
    task: str,
    length: int,
    depths: Sequence[float],
    asked: int,
    n: int,
    filler: list[list[str]],
    rng: np.random.Generator,
) -> Benchmark:
    people = [f"{FIRST[i % len(FIRST)]} {LAST[i // len(FIRST)]}" for i in rng.permutation(len(FIRST) * len(LAST))[:n]]
    documents, questions, at = {}, {}, {}
    for i, person in enumerate(people):
        planted, questions[f"q{i}"] = _fact(task, person, rng)
        depth = depths[i % len(depths)]
        documents[f"d{i}"] = _document(planted.split(), length, depth, filler, rng)
        at[f"q{i}"] = depth
    chosen = [f"q{i}" for i in np.sort(rng.permutation(n)[:asked])]
    return Benchmark(
        f"{task}, {length} words",
        queries={q: questions[q] for q in chosen},
        documents=documents,
        qrels={q: {f"d{q[1:]}": 1.0} for q in chosen},
        about={"made": task, "words": length, "depths": {q: at[q] for q in chosen}},
    )


def _fact(task: str, person: str, rng: np.random.Generator) -> tuple[str, str]:
    if task == "passkey":
        return f"The pass key of {person} is {rng.integers(10_000, 100_000)}.", f"What is the pass key of {person}?"
    colour, thing, place = (str(rng.choice(words)) for words in (COLOURS, THINGS, PLACES))
    return f"{person} keeps a {colour} {thing} in the old {place}.", f"What does {person} keep in the old {place}?"


def _document(planted: list[str], length: int, depth: float, filler: list[list[str]], rng: np.random.Generator) -> str:
    """Return filler of whole sentences, cut to length, with the planted one between two of them."""
    room = length - len(planted)
    if room < 0:
        raise BadInput(f"a document of {length} words has no room for a sentence of {len(planted)}")
    sentences: list[list[str]] = []
    left = room
    while left > 0:
        sentence = filler[rng.integers(len(filler))][:left]
        sentences.append(sentence)
        left -= len(sentence)
    starts = np.cumsum([0, *(len(s) for s in sentences)])
    where = int(np.abs(starts - depth * room).argmin())
    return " ".join(w for s in [*sentences[:where], planted, *sentences[where:]] for w in s)


class chunked:
    """An encoder of windows made into a system that reads whole documents.

    Parameters
    ----------
    encode : callable
        Texts -> (n, dim) vectors.
    words : int
        Words a chunk.
    overlap : int
        Words that two chunks share.
    how : {"mean", "max", "first"}
        Mean of the chunks' vectors; the best chunk's score; or the first chunk alone, which is what an encoder with a
        window does by itself.
    """

    def __init__(self, encode: Callable[[list[str]], Any], *, words: int = 128, overlap: int = 32, how: str = "max"):
        check_choice("how", how, ("mean", "max", "first"))
        if not 0 <= overlap < check_positive("words", words):
            raise BadInput(f"chunks of {words} words cannot share {overlap}")
        self.encode, self.words, self.overlap, self.how = encode, words, overlap, how
        self._known: tuple[Sequence[str], np.ndarray, np.ndarray] | None = None

    def chunks(self, text: str) -> list[str]:
        """Return the chunks of a text; at least one."""
        words = text.split()
        step = self.words - self.overlap
        starts = range(0, max(1, len(words) - self.overlap), step) if self.how != "first" else range(1)
        return [" ".join(words[i : i + self.words]) for i in starts]

    def score(self, queries: Sequence[str], documents: Sequence[str]) -> np.ndarray:
        """Return (q, n) scores; the documents are encoded once as long as they stay the same."""
        if self._known is None or self._known[0] is not documents:
            parts = [self.chunks(d) for d in documents]
            begin = np.cumsum([0, *(len(p) for p in parts)])[:-1]
            vectors = unit(np.asarray(self.encode([c for p in parts for c in p])))
            if self.how == "mean":
                sizes = np.array([len(p) for p in parts])[:, None]
                vectors, begin = unit(np.add.reduceat(vectors, begin, axis=0) / sizes), np.arange(len(parts))
            self._known = documents, vectors, begin
        _, vectors, begin = self._known
        scores = unit(np.asarray(self.encode(list(queries)))) @ vectors.T
        best: np.ndarray = np.maximum.reduceat(scores, begin, axis=1)
        return best
