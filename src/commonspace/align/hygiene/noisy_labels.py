"""`clean_labels`: items with labels and texts from the web, against what the classes are said to be.

A web label is what somebody searched for, and a word has several meanings: many items of a class may show another thing
altogether, so many that every classifier learns them. The definitions of the classes say which meaning is wanted, and
the items' texts, noisy as they are, say which items have it. With x an item's vector, t the vector of its text, d_c
that of the definition of class c:

    1  texts       t'  = mean of t over the item and its neighbours by x      mutual neighbours, weight by overlap
    2  anchors     of the items labelled c, the `anchors` whose t' is nearest to d_c
    3  prototypes  m_c = mean of x over the anchors of c
    4  chances     p   = trust * classifier(x) + (1 - trust) * softmax_c(x . m_c / temperature)
    5  verdict     max p >= relabel: the label is the best class        (kept if it was so, corrected if not)
                   else p[label] >= 1 / classes: kept
                   else dropped

A second round and those that follow learn the classifier and the prototypes from the labels that the round before left.
The classifier is a logistic regression that never judges an item it has learned from; it learns the labels that stand,
and half of each target is what was thought of the item's neighbours.

Neighbours that count are those of whom each has the other: rows of the matrix E_ij = exp(-distance), over the mutual
neighbours i, j and those whom they share most neighbours with, averaged over the nearest few; the weight of a neighbour
is 1 - the Jaccard distance of two rows, mixed with the plain distance.

Sources: "CAPro: Webly Supervised Learning with Cross-Modality Aligned Prototypes" and its code, which trains an image
encoder by these targets, with prototypes that move and a queue of earlier items; here encoders stay frozen and a
regression takes their place. The mutual neighbours are those of "Re-ranking Person Re-identification with k-reciprocal
Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.align.hygiene.audit import Audit, Columns, shown
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.progress import task
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_vectors, unit

BLOCK = 2048
_FOLDS = 5
_KEPT, _CORRECTED, _DROPPED = "kept", "corrected", "dropped"


@dataclass(frozen=True)
class CleanedLabels(Audit):
    """What `clean_labels` decided.

    Parameters
    ----------
    given : (n,) int64
        The labels as they came.
    labels : (n,) int64
        The labels now; -1 where the item was dropped.
    action : (n,) str
        "kept", "corrected" or "dropped".
    probability : (n, classes) float64
        What each item was thought to be.
    match : (n,) float64
        Cosine of the item's smoothed text with the definition of its given class.
    anchors : list of (k,) int64
        Positions of the items that stood for each class at first, the best first.
    prototypes : (classes, d) float32
        One unit row a class, in the space of the centred vectors.
    """

    given: np.ndarray
    labels: np.ndarray
    action: np.ndarray
    probability: np.ndarray
    match: np.ndarray
    anchors: list[np.ndarray]
    prototypes: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Positions of the items that have a label, kept or corrected, ascending."""
        return np.flatnonzero(self.labels >= 0)

    @property
    def doubt(self) -> np.ndarray:
        """(n,) how little the given label was thought of: 1 - its probability."""
        out: np.ndarray = 1 - self.probability[np.arange(len(self.given)), self.given]
        return out

    def table(
        self,
        items: Columns | None = None,
        *,
        classes: Sequence[Any] | None = None,
        ids: Sequence[Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the audit: one row an item, the most doubtful label first, with reasons that a person can check.

        Parameters
        ----------
        items : mapping of str to sequence of n, optional
            Columns to be shown, for example the texts.
        classes : sequence, optional
            Names of the classes; their numbers by default.
        ids : sequence of n, optional
            Names of the items; positions by default.
        """
        ids, columns = shown(len(self.given), items, ids)
        names = range(self.probability.shape[1]) if classes is None else classes
        if len(names) != self.probability.shape[1]:
            raise BadInput(f"classes names {len(names)} classes, and there are {self.probability.shape[1]}")
        rows = []
        for i in np.argsort(-self.doubt, kind="stable").tolist():
            best, own = int(self.probability[i].argmax()), int(self.given[i])
            p, q = float(self.probability[i, own]), float(self.probability[i, best])
            other = "which is the best" if best == own else f"{names[best]} {q:.0%}"
            rows.append(
                {
                    "id": ids[i],
                    "label": names[own],
                    "action": str(self.action[i]),
                    "new label": names[int(self.labels[i])] if self.labels[i] >= 0 else "",
                    "reason": f"{names[own]} {p:.0%}, {other}; text and definition agree by {self.match[i]:.2f}",
                    **{name: column[i] for name, column in columns.items()},
                }
            )
        return rows

    def __str__(self) -> str:
        counts = {name: int((self.action == name).sum()) for name in (_KEPT, _CORRECTED, _DROPPED)}
        return f"of {len(self.given):,} labels " + ", ".join(f"{n:,} were {name}" for name, n in counts.items())


def clean_labels(
    X: Any,
    labels: Any,
    texts: Any,
    definitions: Any,
    *,
    neighbours: int = 20,
    nearest: int = 6,
    mix: float = 0.3,
    anchors: int = 50,
    anchors_by: str = "text",
    temperature: float = 0.1,
    trust: float = 0.5,
    relabel: float = 0.6,
    rounds: int = 3,
    random_state: RandomState = 0,
) -> CleanedLabels:
    """Keep, correct or drop the label of every item.

    Parameters
    ----------
    X : (n, d) array
        Vectors of the items, by any frozen encoder.
    labels : (n,) int
        Their noisy labels, 0 to classes - 1.
    texts : (n, e) array
        Vectors of what is written beside them; a zero row where nothing is.
    definitions : (classes, e) array
        Vectors, by the same encoder, of what each class is said to be.
    neighbours, nearest : int
        How many neighbours may be mutual, and over how many rows are averaged.
    mix : float
        Weight of the plain distance beside that of Jaccard, 0 to 1.
    anchors : int
        The most items that stand for a class at first.
    anchors_by : {"text", "label"}
        "label" takes all items of a label as its anchors and reads no text: what definitions are worth.
    temperature : float
        Of the softmax over prototypes.
    trust : float
        Weight of the classifier beside the prototypes, 0 to 1; the first round has no classifier.
    relabel : float
        Probability from which the best class is the label.
    rounds : int
        How often labels are judged.
    random_state : int, Generator or None
        Which items are judged together.

    Returns
    -------
    CleanedLabels

    Raises
    ------
    BadInput
        Shapes that do not agree, a class without an item, shares outside of 0 to 1, fewer than two classes.
    """
    X, labels, T, D = _checked(X, labels, texts, definitions)
    for name, count in (("neighbours", neighbours), ("nearest", nearest), ("anchors", anchors), ("rounds", rounds)):
        check_positive(name, count)
    check_choice("anchors_by", anchors_by, ("text", "label"))
    for name, share in (("mix", mix), ("trust", trust), ("relabel", relabel)):
        if not 0 <= share <= 1:
            raise BadInput(f"{name} must be between 0 and 1, not {share!r}")
    if not temperature > 0:
        raise BadInput(f"temperature must be positive, not {temperature!r}")
    rng = generator(random_state)
    with task("Cleaning labels", total=rounds + 1) as bar:
        graph = mutual_neighbours(X, neighbours, nearest, mix)
        match = unit(graph @ T) @ unit(D).T
        own = match[np.arange(len(X)), labels]
        chosen = [_anchors(np.flatnonzero(labels == c), own, anchors, anchors_by) for c in range(len(D))]
        prototypes = unit(np.stack([X[rows].mean(axis=0) for rows in chosen]))
        bar.advance()
        p = _softmax(X @ prototypes.T / temperature)
        now, action = _verdicts(p, labels, relabel)
        for _ in range(rounds - 1):
            bar.advance()
            prototypes = _moved(prototypes, X, now)
            classified = _classified(X, (_one_hot(now, len(D)) + graph @ p) / 2, now, rng)
            p = trust * classified + (1 - trust) * _softmax(X @ prototypes.T / temperature)
            now, action = _verdicts(p, labels, relabel)
        bar.advance()
    return CleanedLabels(labels, now, action, p, own.astype(np.float64), chosen, prototypes)


def mutual_neighbours(X: np.ndarray, neighbours: int = 20, nearest: int = 6, mix: float = 0.3) -> Any:
    """Return the graph of mutual neighbours: (n, n) SciPy sparse, rows sum to one, every row holds itself.

    Parameters
    ----------
    X : (n, d) array
        Unit rows.
    neighbours, nearest, mix
        As in `clean_labels`.
    """
    from scipy.sparse import csr_array

    n = len(X)
    k = min(neighbours + 1, n)
    near, distance = _nearest(X, k)
    half = [set(row[: k // 2 + 1]) for row in near.tolist()]
    whole = [set(row) for row in near.tolist()]
    mutual = [{j for j in whole[i] if i in whole[j]} for i in range(n)]
    core = [{j for j in half[i] if i in half[j]} for i in range(n)]
    rows, columns, values = [], [], []
    for i in range(n):
        # A neighbour brings its own closest circle along if two thirds of that are known already.
        wide = mutual[i].union(*(core[j] for j in mutual[i] if 3 * len(core[j] & mutual[i]) >= 2 * len(core[j])))
        members = np.fromiter(sorted(wide | {i}), np.int64)
        weight = np.exp(np.minimum(X[members] @ X[i], 1) * 2 - 2)  # minus the squared distance of unit rows
        rows.append(np.full(len(members), i))
        columns.append(members)
        values.append(weight / weight.sum())
    flat = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    E = csr_array(flat, shape=(n, n))
    few = min(nearest, k)
    average = csr_array(
        (np.full(n * few, 1 / few), (np.repeat(np.arange(n), few), near[:, :few].ravel())), shape=(n, n)
    )
    E = csr_array(average @ E)
    overlap = _overlap(E, near)
    # What shares nothing is no neighbour, however near: plain distance only orders those that do.
    similarity = np.where(overlap > 0, np.maximum((1 - mix) * overlap + mix * (1 - distance / 2), 0), 0)
    similarity[:, 0] = 1  # the item itself
    graph = csr_array((similarity.ravel(), (np.repeat(np.arange(n), k), near.ravel())), shape=(n, n))
    return csr_array(graph.multiply(1 / np.asarray(graph.sum(axis=1)).reshape(-1, 1)))


def _nearest(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest rows of each, itself first, and their squared distances: (n, k) twice."""
    near = np.empty((len(X), k), np.int64)
    distance = np.empty((len(X), k))
    for start in range(0, len(X), BLOCK):
        scores = X[start : start + BLOCK] @ X.T
        here = np.arange(len(scores))
        scores[here, start + here] = np.inf  # of equal rows, too, each is its own first
        found = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, found, 1), axis=1, kind="stable")
        near[start : start + BLOCK] = np.take_along_axis(found, order, 1)
        best = np.minimum(np.take_along_axis(scores, near[start : start + BLOCK], 1), 1)
        distance[start : start + BLOCK] = 2 - 2 * best
    return near, distance


def _overlap(E: Any, near: np.ndarray) -> np.ndarray:
    """Return (n, k) the Jaccard similarity of each row of E with those of its neighbours: sum of min / sum of max."""
    out = np.empty(near.shape)
    for start in range(0, len(near), BLOCK // 8):
        part = near[start : start + BLOCK // 8]
        for j in range(near.shape[1]):
            mine, theirs = E[start : start + len(part)], E[part[:, j]]
            shared = np.asarray(mine.minimum(theirs).sum(axis=1)).ravel()
            out[start : start + len(part), j] = shared / (2 - shared)  # rows of E sum to one
    return out


def _anchors(members: np.ndarray, match: np.ndarray, most: int, by: str) -> np.ndarray:
    """Return the items of one label that stand for its class, the best first."""
    return members if by == "label" else members[np.argsort(-match[members], kind="stable")][:most]


def _verdicts(p: np.ndarray, given: np.ndarray, relabel: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that result and what was done."""
    best, each = p.argmax(axis=1), np.arange(len(p))
    sure = p[each, best] >= relabel
    stays = p[each, given] >= 1 / p.shape[1]
    now = np.where(sure, best, np.where(stays, given, -1))
    return now, np.where(now < 0, _DROPPED, np.where(now == given, _KEPT, _CORRECTED))


def _moved(prototypes: np.ndarray, X: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the means of the items that carry each label; a class that lost all its items stays where it was."""
    means = [X[now == c].mean(axis=0) if (now == c).any() else old for c, old in enumerate(prototypes)]
    return unit(np.stack(means))


def _classified(X: np.ndarray, targets: np.ndarray, now: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n, classes) what regressions say that learned the soft targets of other items, dropped ones left out."""
    from sklearn.linear_model import LogisticRegression

    n, classes = targets.shape
    out = np.zeros((n, classes))
    order = rng.permutation(n)
    for test in np.array_split(order, min(_FOLDS, n)):
        learn = np.setdiff1d(np.flatnonzero(now >= 0), test, assume_unique=True)
        rows, kinds = np.nonzero(targets[learn] > 0.05)  # a soft target is the item once a class, by its weight
        weight = targets[learn][rows, kinds]
        present = np.unique(kinds)
        if len(present) < 2:
            out[test] = 1 / classes
            continue
        model = LogisticRegression(C=10.0, max_iter=300).fit(X[learn[rows]], kinds, sample_weight=weight)
        out[np.ix_(test, model.classes_)] = model.predict_proba(X[test])
    return out


def _one_hot(now: np.ndarray, classes: int) -> np.ndarray:
    """Return (n, classes) the labels as shares; zeros where there is none."""
    out = np.zeros((len(now), classes))
    out[np.flatnonzero(now >= 0), now[now >= 0]] = 1
    return out


def _softmax(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    out: np.ndarray = softmax(np.asarray(logits, np.float64), axis=1)
    return out


def _checked(
    X: Any, labels: Any, texts: Any, definitions: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return unit rows of the centred items, labels, unit rows of the texts (zero where none) and the definitions."""
    rows = check_vectors(X, name="X")
    D = check_vectors(definitions, name="definitions", allow_zero=False)
    T = check_vectors(texts, name="texts", dim=D.shape[1])
    given = np.asarray(labels)
    if len(D) < 2:
        raise BadInput(f"at least two classes are needed, and there are {len(D)} definitions")
    if len(T) != len(rows) or given.shape != (len(rows),):
        raise BadInput(f"every item needs its label and its text: got {len(rows)}, {given.shape} and {len(T)}")
    if given.dtype.kind not in "iu" or (len(given) and not 0 <= given.min() <= given.max() < len(D)):
        raise BadInput(f"labels must be whole numbers from 0 to {len(D) - 1}, one class a definition")
    if len(missing := np.setdiff1d(np.arange(len(D)), given)):
        raise BadInput(f"no item is labelled {missing[0]}: leave classes out that nobody is searching for")
    return unit(rows - rows.mean(axis=0)), given.astype(np.int64), unit(T), D
