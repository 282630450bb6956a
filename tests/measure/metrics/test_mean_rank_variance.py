import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.core.errors import BadInput
from commonspace.measure import evaluate, mean_rank_variance


def naive(ranks: dict[str, list[float]]) -> float:
    variances = []
    for j in range(len(next(iter(ranks.values())))):
        seen = [r[j] for r in ranks.values() if not np.isnan(r[j])]
        if len(seen) >= 2:
            mean = sum(seen) / len(seen)
            variances.append(sum((r - mean) ** 2 for r in seen) / len(seen))
    return sum(variances) / len(variances)


@given(seed=st.integers(0, 50))
def test_it_is_the_definition_written_out(seed):
    rng = np.random.default_rng(seed)
    ranks = {k: rng.integers(1, 20, 12).astype(float) for k in "abcd"}
    for r in ranks.values():
        r[rng.random(12) < 0.3] = np.nan
    found = mean_rank_variance(ranks, resamples=20)
    assert found.value == pytest.approx(naive(ranks))
    assert found.n + found.skipped == 12


def test_views_that_rank_alike_have_none_however_bad_the_ranks():
    assert mean_rank_variance({"de": [1, 900], "en": [1, 900]}).value == 0


def test_the_names_of_the_views_and_a_shift_of_the_ranks_of_an_instance_do_not_matter():
    a = mean_rank_variance({"de": [1, 7.0], "en": [3, 2]})
    assert mean_rank_variance({"x": [6, 4.0], "y": [4, 9]}).value == a.value == pytest.approx((1 + 6.25) / 2)


def test_a_cap_makes_places_beyond_it_one_place():
    ranks = {"de": [1, 500], "en": [3, 90]}
    assert mean_rank_variance(ranks, cap=50).value == pytest.approx(0.5)
    assert mean_rank_variance(ranks).value > 20_000


def test_it_takes_what_evaluate_returns():
    relevance = np.eye(3)
    scores = {"de": np.eye(3), "en": np.array([[1, 2, 3.0], [0, 1, 0], [0, 0, 1]])}
    ranks = {k: evaluate(s, relevance, ["median_rank"])["median_rank"] for k, s in scores.items()}
    assert mean_rank_variance(ranks).per_query.tolist() == [1, 0, 0]


def test_whole_groups_are_drawn_where_instances_hang_together():
    rng = np.random.default_rng(0)
    size = np.repeat(rng.integers(0, 9, 10), 20)
    ranks = {"de": 1 + size, "en": np.ones(200)}
    loose, grouped = (mean_rank_variance(ranks, groups=g) for g in (None, np.repeat(np.arange(10), 20)))
    assert grouped.high - grouped.low > 2 * (loose.high - loose.low)
    assert grouped.value == loose.value


@pytest.mark.parametrize(
    ("ranks", "says"),
    [
        ({"de": [1.0]}, "at least two views"),
        ({"de": [1, 2], "en": [1]}, "same instances"),
        ({"de": [0, 2], "en": [1, 1]}, "'de' has 0 for instance 0"),
        ({"de": [1, np.inf], "en": [1, 1]}, "instance 1"),
        ({"de": [1, np.nan], "en": [np.nan, 1]}, "none of the 2 instances"),
    ],
)
def test_bad_input_is_named(ranks, says):
    with pytest.raises(BadInput, match=says):
        mean_rank_variance(ranks)


def test_groups_of_another_length_are_refused():
    with pytest.raises(BadInput, match="2 instances"):
        mean_rank_variance({"de": [1, 2], "en": [1, 1]}, groups=[0])


def test_views_that_left_queries_out_are_refused():
    scores = np.random.default_rng(0).random((4, 6))
    views = []
    for lacks in (0, 3):  # the ranks of instances 1, 2, 3 beside those of 0, 1, 2
        relevance = np.eye(4, 6)
        relevance[lacks] = 0
        views.append(evaluate(scores, relevance, ["median_rank"])["median_rank"])
    with pytest.raises(BadInput, match="left out"):
        mean_rank_variance({"de": views[0], "en": views[1]})
