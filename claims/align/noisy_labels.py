"""Whether texts and definitions of classes clean labels that confidence alone cannot.

Handwritten digits as if from the web. Of most classes 40 % carry another class's label at random. Two pairs of classes
share a name: whoever searches for one gets as many of the other, so that their labels are right by the toss of a coin.
Beside each picture stands a caption of four words: some from the definition of what it shows, others that say nothing;
a quarter of the captions belongs to another class and a fifth is missing. A regression learns from the labels as they
are (`noisy`), from those that survive when a regression which has not seen them judges them by the same thresholds
(`confidence`), from those that `clean_labels` leaves, by texts or with all items of a label as its anchors
(`without texts`), and from the true ones. Accuracy on digits never seen. All arguments are the defaults, which are
those of the published code; the words and shares of noise were chosen before anything was run.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from commonspace.align.hygiene.noisy_labels import clean_labels
from commonspace.encode.ngrams import NGrams

DEFINITIONS = (
    "zero: a closed ring, nothing, null, empty circle",
    "one: a single upright stroke, unit, alone, first",
    "two: a pair, swan neck on a flat base, double, second",
    "three: a trio, two open bows to the left, third, triple",
    "four: an angle crossed by a post, square count, quarter, fourth",
    "five: a hand of fingers, hat over a belly, half of ten, fifth",
    "six: a loop below a tail, half dozen, dice maximum, sixth",
    "seven: a roof with a slanted leg, week days, lucky, seventh",
    "eight: two rings stacked, octopus arms, snowman, eighth",
    "nine: a loop above a tail, cat lives, square of three, ninth",
)
WORDS = "photo image picture large free download new best number sign digit scan paper ink pen sheet page"
NOTHING = WORDS.split(" ")
SHARED_NAMES = ((3, 8), (1, 7))
FIRST_SEED = 0


def web(truth: np.ndarray, rng: np.random.Generator, noise: float) -> tuple[np.ndarray, list[str]]:
    """Return the labels and captions that a search for the classes' names would bring."""
    labels = truth.copy()
    ambiguous = np.isin(truth, SHARED_NAMES)
    for pair in SHARED_NAMES:
        members = np.flatnonzero(np.isin(truth, pair))
        labels[members] = rng.choice(pair, len(members))
    wrong = np.flatnonzero(~ambiguous & (rng.random(len(truth)) < noise))
    labels[wrong] = (truth[wrong] + rng.integers(1, 10, len(wrong))) % 10
    captions = []
    for kind in truth:
        told = int(rng.integers(10)) if rng.random() < 0.25 else int(kind)
        words = [w.strip(":,") for w in DEFINITIONS[told].split() if len(w) > 3]
        text = [str(rng.choice(words if rng.random() < 0.5 else NOTHING)) for _ in range(4)]
        captions.append("" if rng.random() < 0.2 else " ".join(text))
    return labels, captions


def classifier(X: np.ndarray, y: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=0.1, max_iter=500).fit(X, y)


def by_confidence(X: np.ndarray, labels: np.ndarray, relabel: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Return labels cleaned by held-out confidence alone (-1 for dropped) and how doubtful each was."""
    p = cross_val_predict(LogisticRegression(C=0.1, max_iter=500), X, labels, method="predict_proba")
    own = p[np.arange(len(p)), labels]
    now = np.where(p.max(1) >= relabel, p.argmax(1), np.where(own >= 0.1, labels, -1))
    return now, 1 - own


def run(seeds: int = 5, noise: float = 0.4, first: int = FIRST_SEED) -> dict[str, Any]:
    digits = load_digits()
    X = (digits.data / 16).astype(np.float32)
    accuracy: dict[str, list[float]] = {}
    shared: dict[str, list[float]] = {}
    areas: dict[str, list[float]] = {}
    for seed in range(first, first + seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(X))
        train, test = order[:1200], order[1200:]
        truth = digits.target[train]
        labels, captions = web(truth, rng, noise)
        words = NGrams(dim=64).fit([*filter(None, captions), *DEFINITIONS])
        written = [i for i, c in enumerate(captions) if c]
        vectors = words.encode([captions[i] for i in written])
        texts = np.zeros((len(train), vectors.shape[1]), np.float32)
        texts[written] = vectors
        given = X[train], labels, texts, words.encode(list(DEFINITIONS))
        ours, blind = (
            clean_labels(*given, random_state=seed),
            clean_labels(*given, anchors_by="label", random_state=seed),
        )
        confident, doubt = by_confidence(X[train], labels)
        systems = {
            "noisy": labels,
            "confidence": confident,
            "without texts": blind.labels,
            "clean_labels": ours.labels,
            "true": truth,
        }
        asked = np.isin(digits.target[test], SHARED_NAMES)
        for name, now in systems.items():
            model = classifier(X[train][now >= 0], now[now >= 0])
            right = model.predict(X[test]) == digits.target[test]
            accuracy.setdefault(name, []).append(float(right.mean()))
            shared.setdefault(name, []).append(float(right[asked].mean()))
        wrong = labels != truth
        for name, score in (("confidence", doubt), ("without texts", blind.doubt), ("clean_labels", ours.doubt)):
            areas.setdefault(name, []).append(float(roc_auc_score(wrong, score)))
    table = {name: np.array(v) for name, v in accuracy.items()}
    outcome = compared(table["clean_labels"], table["confidence"])
    over_noisy = compared(table["clean_labels"], table["noisy"])
    on_shared = compared(np.array(shared["clean_labels"]), np.array(shared["without texts"]))
    checks = {
        "more accurate than on the labels as they are": over_noisy["low"] > 0,
        "wrong labels flagged with an area of at least 0.9": float(np.mean(areas["clean_labels"])) >= 0.9,
        "classes that share a name need the texts": on_shared["low"] > 0,
    }
    failed = [name for name, passed in checks.items() if not passed]
    words_of = ", ".join(
        f"{name} {v.mean():.3f} ({np.mean(shared[name]):.3f} where names are shared)" for name, v in table.items()
    )
    return {
        "method": "clean_labels",
        "titles": ["CAPro: Webly Supervised Learning with Cross-Modality Aligned Prototypes"],
        "claim": "Definitions of classes and noisy captions clean labels better than held-out confidence does, most of "
        "all where two classes share a name.",
        "data": f"1,200 digits, {noise:.0%} of the labels wrong, two pairs of classes with one name each, noisy "
        "captions; accuracy on 597 digits; baseline: cleaning by held-out confidence",
        **outcome,
        "verdict": "depends" if outcome["verdict"] == "holds" and failed else outcome["verdict"],
        "sentence": f"Accuracy: {words_of}. Area under ROC of wrong labels: "
        + ", ".join(f"{name} {np.mean(v):.3f}" for name, v in areas.items())
        + ". "
        + (f"Not met: {'; '.join(failed)}." if failed else "All conditions are met."),
        "details": {"checks": checks, "accuracy": {n: np.round(v, 4).tolist() for n, v in table.items()}},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
