import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import stack_similarities


def world(items: int = 60, pairs: int = 800, seed: int = 0):
    """Each source sees one half of what people go by."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(items, 8))
    every = np.stack(np.triu_indices(items, 1), axis=1)
    at = every[rng.permutation(len(every))[:pairs]]

    def cosines(v):
        u = unit(v)
        return (u[at[:, 0]] * u[at[:, 1]]).sum(axis=1)

    shapes, colours = (z[:, k] + 0.3 * rng.normal(size=(items, 4)) for k in (slice(0, 4), slice(4, 8)))
    ratings = cosines(z) + 0.1 * rng.normal(size=pairs)
    return {"shape": cosines(shapes), "colour": 5 + 3 * cosines(colours)}, ratings, at


@pytest.mark.parametrize("how", ["ridge", "blocks"])
def test_two_halves_together_exceed_each(how):
    sources, ratings, at = world()
    found = stack_similarities(sources, ratings, at, how=how, folds=8)
    assert all(g.low > 0 and g.p_value < 0.01 for g in found.gains)
    assert {g.b for g in found.gains} == {"shape", "colour"}
    assert found.stacked.value == pytest.approx(stats.spearmanr(found.predictions, ratings).statistic)
    assert found.weights["shape"] == pytest.approx(found.weights["colour"], rel=0.3)


def test_a_useless_source_adds_nothing_and_costs_little():
    sources, ratings, at = world()
    rng = np.random.default_rng(1)
    found = stack_similarities({"shape": sources["shape"], "noise": rng.normal(size=800)}, ratings, at)
    against = next(g for g in found.gains if g.b == "shape")
    assert abs(against.difference) < 0.02
    assert abs(found.weights["noise"]) < 0.2 * found.weights["shape"]


def test_no_item_is_on_both_sides():
    """A source that knows nothing but the items themselves cannot help with items it has not seen."""
    rng = np.random.default_rng(2)
    _, _, at = world()
    effect = rng.normal(size=60)
    ratings = effect[at].sum(axis=1)
    codes = {f"item {i}": (at == i).any(axis=1).astype(float) for i in range(60)}
    with pytest.raises(BadInput, match="all the same"):  # not one prediction is made
        stack_similarities(codes, ratings, at)
    seen = np.linalg.lstsq(np.stack(list(codes.values()), axis=1), ratings, rcond=None)[0]
    assert np.corrcoef(np.stack(list(codes.values()), axis=1) @ seen, ratings)[0, 1] > 0.99


def test_more_ratings_help_and_all_of_them_are_the_whole():
    sources, ratings, at = world()
    found = stack_similarities(sources, ratings, at, budgets=(10, 100_000))
    assert found.cost[10].value < found.cost[100_000].value + 0.01
    assert found.cost[100_000].value == pytest.approx(found.stacked.value)


def test_a_seed_repeats_and_labels_may_be_words():
    sources, ratings, at = world()
    named = np.array([f"w{i:02d}" for i in range(60)])[at]
    one, other = (stack_similarities(sources, ratings, v, random_state=3) for v in (at, named))
    assert one.to_dict() == other.to_dict()
    assert "stacked" in json.loads(json.dumps(one.to_dict()))
    assert "stacked - shape" in str(one)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, r, a: stack_similarities({"shape": s["shape"]}, r, a), "two sources"),
        (lambda s, r, a: stack_similarities({}, r, a), "two sources"),
        (lambda s, r, a: stack_similarities({**s, "x": r}, r, a, how="blocks"), "two sources"),
        (lambda s, r, a: stack_similarities({**s, "stacked": r}, r, a), "name of the prediction"),
        (lambda s, r, a: stack_similarities(s, r[:-1], a), "as many ratings"),
        (lambda s, r, a: stack_similarities(s, r * np.nan, a), "NaN"),
        (lambda s, r, a: stack_similarities(s, r, a, folds=2), "are left to train on"),
        (lambda s, r, a: stack_similarities(s, r, a, budgets=(5,)), "at least 10"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(*world())


def test_gains_have_the_confidence_asked_for():
    found = stack_similarities(*world(items=40, pairs=400), confidence=0.8)
    assert {g.confidence for g in found.gains} == {found.stacked.confidence} == {0.8}
