import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsClassifier

from commonspace.core.errors import BadInput
from commonspace.measure import icnn_score
from commonspace.measure.health.icnn import BLOCK


def naive(X, y, k, G=None, z=None):
    """The definition, one query at a time."""
    itself = G is None
    G, z = (X, y) if itself else (G, z)
    same, other, pure, intruders = [], [], [], []
    for i in range(len(X)):
        d = sorted(
            (float(np.linalg.norm(X[i] - G[j])), bool(y[i] == z[j])) for j in range(len(G)) if not (itself and i == j)
        )
        rivals = [v for v, alike in d if not alike]
        e = min(rivals) if rivals else np.inf
        near = d[:k]
        ratios = [v / e for v, _ in near]
        top = max(1.0, *ratios)
        mine = [r / top for r, (_, alike) in zip(ratios, near, strict=True) if alike]
        theirs = [v for v, alike in near if not alike]
        if mine:
            same.append(np.mean(mine))
        if theirs:
            other.append(theirs)
            intruders += theirs
        pure.append(len(mine) / k)
    within = 1 - np.mean(same) if same else 0.0
    between = np.mean([np.mean(t) / max(intruders) for t in other]) if other else 1.0
    return ((within + between) / 2 + np.mean(pure)) / 2


def blobs(spread, seed=0, n=120, classes=4):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(classes, 6))
    y = np.arange(n) % classes
    return centres[y] + spread * rng.normal(size=(n, 6)), y


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("k", [1, 5])
def test_it_equals_the_definition_within_a_set_and_between_two(spread, k):
    X, y = blobs(spread, n=40)
    G, z = blobs(spread, seed=1, n=30)
    assert icnn_score(X, y, k=k) == pytest.approx(naive(X, y, k))
    assert icnn_score(X, y, k=k, gallery=G, gallery_labels=z) == pytest.approx(naive(X, y, k, G, z))


def test_it_falls_with_overlap_and_with_wrong_labels_as_the_accuracy_of_neighbours_does():
    scores, accuracies = [], []
    rng = np.random.default_rng(0)
    for spread in np.linspace(0.1, 2.5, 8):
        for wrong in (0.0, 0.2, 0.5):
            X, y = blobs(spread)
            y = np.where(rng.random(len(y)) < wrong, rng.permutation(y), y)
            scores.append(icnn_score(X, y))
            model = KNeighborsClassifier(5).fit(X[:60], y[:60])
            accuracies.append(model.score(X[60:], y[60:]))
    assert spearmanr(scores, accuracies).statistic > 0.9


def test_separate_points_of_one_place_a_class_score_one_and_strangers_little():
    X = np.repeat(np.eye(3), 4, axis=0)
    y = np.repeat(np.arange(3), 4)
    assert icnn_score(X, y, k=3) == 1
    assert icnn_score(X, np.tile(np.arange(4), 3), k=3) == 0


@pytest.mark.parametrize("k", [1, 5])
def test_turning_moving_and_stretching_the_space_changes_nothing(k):
    X, y = blobs(1.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    assert icnn_score(7 * X @ turn + 2, y, k=k) == pytest.approx(icnn_score(X, y, k=k), abs=1e-4)


def test_blocks_leave_no_seam():
    X, y = blobs(1.0, n=BLOCK + 3)
    whole = icnn_score(X, y)
    order = np.random.default_rng(0).permutation(len(y))
    assert icnn_score(X[order], y[order]) == pytest.approx(whole, abs=1e-6)


def test_one_class_alone_has_nothing_to_be_kept_from():
    X, _ = blobs(1.0, n=9)
    assert icnn_score(X, np.zeros(9), k=99) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"X": np.eye(3), "y": [0, 1]}, "labels have shape"),
        ({"X": np.eye(1), "y": [0]}, "must be queries and neighbours"),
        ({"X": np.eye(3), "y": [0, 1, 2], "gallery": np.eye(3)}, "go together"),
        ({"X": np.eye(3), "y": [0, 1, 2], "gallery": np.eye(4), "gallery_labels": [0] * 4}, "dimension 3"),
        ({"X": np.full((3, 2), np.nan), "y": [0, 1, 2]}, "NaN"),
        ({"X": np.eye(3), "y": [0, 1, 2], "k": 0}, "k must be"),
    ],
)
def test_bad_input_is_named(arguments, says):
    with pytest.raises(BadInput, match=says):
        icnn_score(arguments.pop("X"), arguments.pop("y"), **arguments)
