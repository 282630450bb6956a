"""Icons with their names, and heads trained on them by the strong recipe, for claims about objectives."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from claims.align._data import Split, both_ways, icons

from commonspace.align.fit import fit_heads
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

HEAD = {"name": "mlp", "hidden": 256, "dropout": 0.3}


@lru_cache(maxsize=16)
def encoded(seed: int, pairs: int, tests: int) -> Split:
    """Training pairs and pairs of concepts never seen, encoded once a seed."""
    return icons(seed, pairs, tests, image=HOG(cells=(8,)), text=NGrams(dim=128, max_features=5000))[0]


def with_wrong_pairs(split: Split, share: float, seed: int) -> Split:
    """The same, with the texts of a share of the training pairs dealt out anew; groups follow the image."""
    rng = np.random.default_rng(seed)
    n = len(split.train_groups)
    order = np.arange(n)
    wrong = rng.permutation(n)[: int(share * n)]
    order[wrong] = np.roll(wrong, 1)
    train = {"image": split.train["image"], "text": split.train["text"][order]}
    # Who pairs things wrongly does not know which other pairs show the same thing: each pair is its own group.
    return Split(train, np.arange(n), split.test, split.test_groups)


def trained(split: Split, objective: Any, seed: int, epochs: int, **options: Any) -> dict[str, np.ndarray]:
    """Test vectors of heads trained with an objective by the strong recipe, all epochs, no selection."""
    found = fit_heads(
        split.train, groups=split.train_groups, objective=objective, head=HEAD, dim=64, epochs=epochs, valid=None,
        baselines=(), random_state=seed, **{"batch_size": 256, **options},
    )  # fmt: skip
    return {m: found.heads[m](split.test[m]) for m in split.test}


def recalls(split: Split, objective: Any, seed: int, epochs: int, **options: Any) -> tuple[float, float]:
    """Recall@1 and recall@10 on the test pairs, both directions."""
    z = trained(split, objective, seed, epochs, **options)
    return both_ways(z, split.test_groups, 1), both_ways(z, split.test_groups, 10)
