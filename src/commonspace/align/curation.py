"""`curate`: a small set of pairs that covers many concepts evenly.

Pairs found in the wild say the same few things over and over. Balanced choice takes, for every concept, the pairs that
are nearest to its prototype, up to a quota:

    similarity(pair, concept) = cosine of the pair's vector and the concept's prototype
    pairs below `min_similarity` to every concept are dropped, and of near duplicates only the first is kept

What remains of the budget can be filled with pairs from anywhere, so that the set does not only hold what the concepts
name. Source: "From Unimodal to Multimodal: Scaling up Projectors to Align Modalities".
"""

from __future__ import annotations

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit

BLOCK = 4096


def curate(
    vectors: np.ndarray,
    prototypes: np.ndarray,
    *,
    quota: int,
    min_similarity: float = 0.0,
    duplicate_similarity: float = 0.999,
    extra: int = 0,
    random_state: RandomState = 0,
) -> np.ndarray:
    """Return the positions of a concept-balanced set of pairs, ascending.

    Parameters
    ----------
    vectors : (n, d) array
        One vector a pair, for example its text's.
    prototypes : (c, d) array
        One vector a concept in the same space, for example a class name's or a cluster centre.
    quota : int
        The most pairs a concept gets.
    min_similarity : float
        Cosine that a pair must have to a concept to stand for it.
    duplicate_similarity : float
        A pair whose cosine to an already chosen one of its concept is above this is passed over.
    extra : int
        Further pairs, drawn at random from what is left.
    random_state : int, Generator or None
        For `extra`.

    Returns
    -------
    (k,) int64
        No position twice; a pair that stands for two concepts counts for the nearer one.

    Raises
    ------
    BadInput
        No vectors or prototypes, different dimensions, zero vectors, a negative `extra`.
    """
    check_positive("quota", quota)
    if extra < 0:
        raise BadInput(f"extra must not be negative, got {extra}")
    X = unit(check_vectors(vectors, name="vectors", allow_zero=False))
    P = check_vectors(prototypes, name="prototypes", dim=X.shape[1], allow_zero=False)
    if not len(X) or not len(P):
        raise BadInput(f"curate needs pairs and concepts, got {len(X)} and {len(P)}")
    concept, similarity = _nearest(X, unit(P))
    chosen: list[int] = []
    for c in range(len(P)):
        members = np.flatnonzero((concept == c) & (similarity >= min_similarity))
        chosen += _take(X, members[np.argsort(-similarity[members], kind="stable")], quota, duplicate_similarity)
    rest = np.setdiff1d(np.arange(len(X)), chosen)
    more = generator(random_state).permutation(rest)[:extra]
    return np.sort(np.array([*chosen, *more], dtype=np.int64))


def _nearest(X: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (nearest prototype, cosine to it) of each row."""
    which = np.empty(len(X), np.int64)
    best = np.empty(len(X), np.float32)
    for start in range(0, len(X), BLOCK):
        scores = X[start : start + BLOCK] @ P.T
        which[start : start + BLOCK] = scores.argmax(1)
        best[start : start + BLOCK] = scores.max(1)
    return which, best


def _take(X: np.ndarray, ordered: np.ndarray, quota: int, duplicate_similarity: float) -> list[int]:
    """Return the first `quota` positions that are no near duplicates of those before."""
    taken: list[int] = []
    for i in ordered:
        if len(taken) == quota:
            break
        if not taken or float((X[taken] @ X[i]).max()) <= duplicate_similarity:
            taken.append(int(i))
    return taken
