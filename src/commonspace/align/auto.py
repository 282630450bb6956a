"""``objective="auto"``: an objective chosen by what the training data show, with the reason in one sentence.

The facts are counted, one is estimated; nothing is trained and nothing but the training part is looked at:

    n, modalities, pairs      counted
    partners                  items of an item's group that a batch holds on average, itself included
    graded                    whether relevance was given
    wrong                     the share of wrong pairs with its interval (`wrong_share`, about a second)

and the rules are few, because most of what was tried lost:

    several partners an item, ungraded    decoupled-softmax
    anything else                         tal
    wrong surely above 20 %               and each pair as often as it is likely right (noisy_pairs="reweight")

They were fixed on icons, noisy icons, emoji in several languages, graded tags and classes of digits, on splits that no
claim reports; the claim `auto` says what they are worth, on other data too. What was tried there and not taken:
`one-to-k` for several languages makes them more equal but finds no more; `hcl` and `ranking` were level with or behind
one of these two; `cwcl` helps to classify without labels, not to find pairs; `sdm` keeps more of wrong pairs in batches
of 256 but loses half of what the others find in batches of 1,024; dropping wrong pairs finds less than reweighting.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.hygiene.noisy_pairs import wrong_share
from commonspace.measure.statistics.estimates import Estimate

AUTO = "auto"
NOISY = 0.2  # share of wrong pairs that the lower end of its interval must reach
SEVERAL = 1.5  # partners of an item in a batch from which there are several


@dataclass(frozen=True)
class Facts:
    """What the data show.

    Parameters
    ----------
    n : int
        Items.
    modalities : int
        Number of modalities.
    pairs : int
        Groups seen in two modalities or more.
    partners : float
        Items of an item's group in a batch, itself included, on average.
    graded : bool
        Whether relevance is given.
    batch_size : int
        Items a batch.
    wrong : Estimate or None
        Share of wrong pairs; None where it was not or could not be estimated.
    """

    n: int
    modalities: int
    pairs: int
    partners: float
    graded: bool
    batch_size: int
    wrong: Estimate | None = None

    @classmethod
    def of(cls, data: PairData, batch_size: int, *, graded: bool, rng: np.random.Generator) -> Facts:
        """Return the facts of checked training data; `rng` is for the estimate alone."""
        counted = cls.counted(data.groups, len(data.modalities), data.paired_groups(), batch_size, graded=graded)
        return cls(**{**vars(counted), "wrong": wrong_share(data, rng=rng)})

    @classmethod
    def counted(cls, groups: np.ndarray, modalities: int, pairs: int, batch_size: int, *, graded: bool) -> Facts:
        """Return what can be said without vectors."""
        n = len(groups)
        sizes = np.unique(groups, return_counts=True)[1]
        others = float((sizes * (sizes - 1)).sum() / n) if n else 0.0
        batch = min(batch_size, n)
        return cls(n, modalities, pairs, 1 + others * max(0, batch - 1) / max(1, n - 1), graded, batch)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON data."""
        wrong = None if self.wrong is None else {k: getattr(self.wrong, k) for k in ("value", "low", "high", "n")}
        return {**asdict(self), "wrong": wrong}


@dataclass(frozen=True)
class Choice:
    """An objective and why.

    Parameters
    ----------
    objective : str or mapping
        What to train for.
    noisy_pairs : str, mapping or None
        What to do about wrong pairs: what the user said, or what follows from the facts.
    reason : str
        One sentence.
    facts : Facts
        What it was chosen by.
    """

    objective: Any
    noisy_pairs: Any
    reason: str
    facts: Facts


def choose(facts: Facts, noisy_pairs: Any = None) -> Choice:
    """Return the objective for data with these facts, and what to do about wrong pairs unless the user said it."""
    if facts.partners >= SEVERAL and not facts.graded:
        name, why = "decoupled-softmax", "of several partners each then has a comparison of its own"
    else:
        name, why = "tal", "its softened margin found more than a softmax wherever both were measured"
    words, remedy = f"objective {name!r}", noisy_pairs
    if noisy_pairs is None and facts.wrong is not None and facts.wrong.low >= NOISY:
        remedy, words = "reweight", f"{words} with pairs shown as often as they are likely right"
    return Choice(name, remedy, f"{words}, because {_words(facts)}: {why}.", facts)


def _words(facts: Facts) -> str:
    """Return the facts in words."""
    partners = "one partner" if facts.partners < SEVERAL else f"{facts.partners:.1f} partners in a batch"
    words = f"each of {facts.n:,} items in {facts.modalities} modalities has {partners}"
    words += ", graded," if facts.graded else ""
    if facts.wrong is None:
        return words + " and how many pairs are wrong was not estimated"
    share, low, high = (100 * v for v in (facts.wrong.value, facts.wrong.low, facts.wrong.high))
    return words + f" and {share:.0f} % [{low:.0f}, {high:.0f}] of the pairs look wrong"
