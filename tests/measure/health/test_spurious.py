"""Who reads the concept answers both kinds of episodes; who reads the context falls below chance in swapped ones."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import spurious_context

RNG = np.random.default_rng(0)
CONCEPT = np.repeat(np.arange(8), 60)
CONTEXT = np.tile(np.repeat(np.arange(4), 15), 8)


def world(concept=1.0, context=0.0, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(8, 32)), rng.normal(size=(4, 32))
    return concept * a[CONCEPT] + context * b[CONTEXT] + noise * rng.normal(size=(480, 32))


def ask(X, **options):
    return spurious_context(X, CONCEPT, CONTEXT, **{"ways": 4, "episodes": 60, "resamples": 60, **options})


def test_a_space_of_concepts_has_no_gap():
    found = ask(world())
    assert found.alike.value > 0.99
    assert found.gap.value == pytest.approx(0, abs=0.01)
    assert found.dominance.value < 0.05


def test_a_space_of_contexts_answers_swapped_episodes_worse_than_chance():
    found = ask(world(concept=0.0, context=1.0))
    assert found.swapped.value < 0.05
    assert found.alike.value > 0.25
    assert found.gap.low > 0.2
    assert found.dominance.value > 0.95


@pytest.mark.parametrize("classifier", ["prototype", "neighbour"])
def test_the_gap_grows_with_the_weight_of_the_context(classifier):
    gaps = [ask(world(context=w, noise=0.5), classifier=classifier).gap.value for w in (0.0, 1.0, 3.0)]
    assert gaps[0] < 0.05
    assert gaps[0] < gaps[1] < gaps[2]


def test_noise_explains_nothing_and_has_no_gap():
    found = ask(RNG.normal(size=(480, 32)), episodes=200)
    assert found.alike.value == pytest.approx(0.25, abs=0.05)
    assert found.gap.low < 0 < found.gap.high
    for share in (found.concept, found.context):
        assert share.value == pytest.approx(0, abs=0.02)


def test_shares_of_variance_agree_with_a_naive_loop():
    X = world(context=0.7)
    z = X / np.linalg.norm(X, axis=1, keepdims=True)
    mean = z.mean(axis=0)
    between = sum((c == CONCEPT).sum() * np.square(z[c == CONCEPT].mean(axis=0) - mean).sum() for c in range(8))
    share = between / np.square(z - mean).sum()
    chance = 7 / 479
    assert ask(X).concept.value == pytest.approx((share - chance) / (1 - chance), abs=1e-6)


def test_equal_vectors_are_a_toss():
    found = ask(np.ones((480, 3)))
    assert found.alike.value == found.swapped.value == pytest.approx(0.25)
    assert found.dominance.value == 0.5


def test_rotation_scale_and_seed():
    X = world(context=1.0, noise=0.5)
    Q, _ = np.linalg.qr(RNG.normal(size=(32, 32)))
    one, turned = ask(X, random_state=3), ask(5 * X @ Q, random_state=3)
    assert turned.gap.value == pytest.approx(one.gap.value, abs=1e-3)
    assert str(one) == str(ask(X, random_state=3))
    assert set(one.to_dict()) == {"alike", "swapped", "gap", "concept", "context", "dominance"}


@pytest.mark.parametrize(
    ("concepts", "contexts", "options", "words"),
    [
        (CONCEPT[:5], CONTEXT, {}, "concepts must hold one label"),
        (CONCEPT, np.zeros(480), {}, "one label only"),
        (CONCEPT, CONTEXT, {"ways": 9}, "there are 8"),
        (CONCEPT, CONTEXT, {"shots": 20}, "fewer ways, shots"),
        (CONCEPT, CONCEPT, {}, "two contexts"),
        (CONCEPT, CONTEXT, {"classifier": "svm"}, "classifier"),
        (CONCEPT, np.tile(np.repeat([0, 1], 30), 8), {"ways": 3}, "an odd number"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused(concepts, contexts, options, words):
    with pytest.raises(BadInput, match=words):
        spurious_context(world(), concepts, contexts, **{"ways": 4, "episodes": 5, "resamples": 5, **options})
