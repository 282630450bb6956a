"""`fit_two_tier`: light codes in memory that find candidates, and a metric on full vectors that knows their mistakes.

    tier 1   `BigranularCode`, trained so that quantised positives win; gives the K best of all vectors
    tier 2   score(q, x) = <q D, x> on the full vectors (on disk) of those K

D is trained after tier 1 and on its mistakes: with positives x+, a batch's other positives and one hard negative each,
drawn from the best that tier 1 gave the query and that are not its positives,

    loss = CE over these of  <q D, x> / T,        D = I + change, the change held small by weight decay

The full vectors themselves stay as they are, so that nothing has to be written again. Batches come from the `locality`
sampler on the same mistakes, or at random.

Source: "Progressively Optimized Bi-Granular Document Representation for Scalable Embedding Based Retrieval", with a
matrix on frozen vectors in place of its text encoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from commonspace.align.samplers.locality import Locality
from commonspace.compress.bigranular import BigranularCode
from commonspace.compress.pairs import check_pairs, known_pairs
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.progress import task
from commonspace.core.protocols import Code
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors

QUERIES = 128  # queries scored against all codes at once


@dataclass
class TwoTier:
    """A code and a metric that were trained in turn.

    Parameters
    ----------
    code : Code
        Tier 1, fitted.
    metric : (dim, dim) float32
        D of tier 2.
    history : list of float
        Loss of tier 2 by epoch.
    """

    code: Code
    metric: np.ndarray
    history: list[float]

    def search(
        self, queries: np.ndarray, codes: np.ndarray, docs: np.ndarray, k: int, *, shortlist: int = 100
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best rows of each query by both tiers: (q, h) int64 rows and float32 scores, best first.

        Parameters
        ----------
        queries : (q, dim) float32
            What is looked for.
        codes : (n, bytes) uint8
            ``code.encode(docs)``.
        docs : (n, dim) float32
            The full vectors; a memory map will do, only shortlisted rows are read.
        k : int
            At most `shortlist` and n hits come back.
        shortlist : int
            How many candidates tier 1 gives to tier 2.
        """
        k, shortlist = check_positive("k", k), check_positive("shortlist", shortlist)
        if len(codes) != len(docs):
            raise BadInput(f"there are {len(codes)} codes for {len(docs)} vectors: encode the same rows")
        candidates = best_by_code(self.code, queries, codes, max(k, shortlist))
        asked = check_vectors(queries, name="queries") @ self.metric
        scores = np.stack([np.asarray(docs[c], np.float32) @ q for q, c in zip(asked, candidates, strict=True)])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(candidates, order, 1), np.take_along_axis(scores, order, 1)


def fit_two_tier(
    queries: np.ndarray,
    docs: np.ndarray,
    pairs: np.ndarray,
    *,
    code: Code | None = None,
    negatives: str = "tier 1",
    sampler: str = "locality",
    hard: int = 200,
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    temperature: float = 0.05,
    random_state: RandomState = 0,
) -> TwoTier:
    """Train both tiers in turn.

    Parameters
    ----------
    queries : (m, dim) float32
        Typical queries.
    docs : (n, dim) float32
        The vectors that are searched.
    pairs : (p, 2) int
        Positions of a query and of a vector that it should find.
    code : Code, optional
        Tier 1. One that is fitted is taken as it is; by default a `BigranularCode` is trained on the pairs.
    negatives : {"tier 1", "random"}
        Where hard negatives come from; random ones are the baseline.
    sampler : {"locality", "uniform"}
        Whether batches are of queries that tier 1 confuses.
    hard : int
        How many of tier 1's best are mistakes to learn from.
    epochs, batch_size, lr, weight_decay, temperature
        Of tier 2.
    random_state : int, Generator or None
        Seed.

    Raises
    ------
    BadInput
        For pairs that point nowhere, or none.
    """
    check_choice("negatives", negatives, ("tier 1", "random"))
    check_choice("sampler", sampler, ("locality", "uniform"))
    X = check_vectors(docs, name="docs")
    Q = check_vectors(queries, name="queries", dim=X.shape[1])
    pairs = check_pairs(pairs, len(Q), len(X))
    if len(pairs) < 2:
        raise BadInput(f"two tiers are trained on at least 2 pairs, not {len(pairs)}")
    rng = generator(random_state)
    if code is None:
        parts = next(p for p in (32, 16, 8, 4, 2, 1) if X.shape[1] % p == 0)
        code = BigranularCode(parts=parts, random_state=rng).fit_pairs(X, Q, pairs)
    positive = known_pairs(pairs, len(X))
    asked, where = np.unique(pairs[:, 0], return_inverse=True)
    best = best_by_code(code, Q[asked], code.encode(X), min(hard, len(X)))
    wrong = np.stack([np.where(positive(q[None], b)[0], -1, b) for q, b in zip(asked, best, strict=True)])
    misses = wrong[where]  # one row a pair
    drawn = misses if negatives == "tier 1" else np.full((len(pairs), 1), -1)
    walk = Locality(batch_size=batch_size, misses=misses if sampler == "locality" else None)
    metric, history = _train(
        Q, X, pairs, drawn, positive, walk, epochs=epochs, lr=lr, weight_decay=weight_decay, temperature=temperature,
        rng=rng,
    )  # fmt: skip
    return TwoTier(code, metric, history)


def best_by_code(code: Code, queries: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Return the k best rows of each query by a code, best first: (q, min(k, n)) int64."""
    right = code.expand(codes).astype(np.float32, copy=False).T
    left = code.prepare(queries)
    k = min(k, len(codes))
    found = np.empty((len(left), k), np.int64)
    for start in range(0, len(left), QUERIES):
        scores = left[start : start + QUERIES] @ right
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < len(codes) else np.argsort(-scores, axis=1)
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
        found[start : start + QUERIES] = np.take_along_axis(top, order, 1)
    return found


def _train(
    Q: np.ndarray,
    X: np.ndarray,
    pairs: np.ndarray,
    misses: np.ndarray,
    positive: Any,
    sampler: Locality,
    *,
    epochs: int,
    lr: float,
    weight_decay: float,
    temperature: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[float]]:
    """Return D and the mean loss of each epoch."""
    change = torch.zeros(X.shape[1], X.shape[1], requires_grad=True)
    optimiser = torch.optim.AdamW([change], lr=lr, weight_decay=weight_decay)
    history = []
    with task("Training the full tier", total=epochs) as t:
        for epoch in range(epochs):
            losses = []
            for group in optimiser.param_groups:
                group["lr"] = lr * (1 - epoch / epochs)
            for batch in sampler.batches(len(pairs), rng):
                asked, found = pairs[batch].T
                docs = np.concatenate([found, _draw(misses[batch], len(X), rng)])
                q = torch.from_numpy(Q[asked])
                scores = (q + q @ change) @ torch.from_numpy(X[docs]).T / temperature
                clash = torch.from_numpy(positive(asked, docs))
                clash[torch.arange(len(batch)), torch.arange(len(batch))] = False
                loss = cross_entropy(scores.masked_fill(clash, -torch.inf), torch.arange(len(batch)))
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                losses.append(loss.item())
            history.append(float(np.mean(losses)))
            t.advance(note=f"loss {history[-1]:.3f}")
    return (torch.eye(len(change)) + change.detach()).numpy(), history


def _draw(misses: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return one near miss of each row, a random vector where a row has none."""
    column = np.where(misses >= 0, rng.random(misses.shape), -1.0).argmax(1)
    drawn = misses[np.arange(len(misses)), column]
    return np.where(drawn >= 0, drawn, rng.integers(n, size=len(misses)))
