import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.protocols import Metric
from commonspace.core.registry import entries
from commonspace.measure import NDCG, Hit, metric

NAMES = ["recall@3", "hit@3", "mrr", "mrr@3", "ndcg", "ndcg@3", "map", "map@3", "precision@3", "r_precision"]
NAMES += ["rbp", "rbp@3"]


def test_every_registered_metric_keeps_the_protocol():
    ours = [e.cls for e in entries("Metric") if e.cls.__module__.startswith("commonspace.measure")]
    assert len(ours) == 9
    assert all(isinstance(cls(), Metric) for cls in ours)


def test_a_name_with_a_cut_off_becomes_a_metric_and_prints_as_it_was_written():
    assert [metric(name).label for name in NAMES] == NAMES
    assert metric("success@5").label == "hit@5"
    assert isinstance(metric("success@5"), Hit)


def test_other_parameters_show_in_the_label():
    assert metric({"name": "ndcg", "k": 10, "gain": "exponential"}).label == "ndcg@10 (gain=exponential)"
    assert metric(NDCG(k=3)).label == "ndcg@3"


@pytest.mark.parametrize("spec", ["recall@0", "recall@", "recall@-1", "recall@1.5", "recall@ten", "mrr@"])
def test_a_cut_off_that_is_not_a_positive_whole_number_is_refused(spec):
    with pytest.raises(BadInput, match="whole number of at least 1"):
        metric(spec)


def test_an_unknown_metric_is_answered_with_the_nearest_known_one():
    with pytest.raises(NotFound, match="Did you mean 'recall'"):
        metric("recal@10")


@settings(max_examples=60, deadline=None)
@given(
    scores=hnp.arrays(np.float64, (3, 8), elements=st.integers(-3, 3).map(float)),
    grades=hnp.arrays(np.int64, (3, 8), elements=st.integers(0, 2)),
    seed=st.integers(0, 99),
)
def test_values_stay_in_bounds_and_ignore_the_order_of_items_and_the_scale_of_scores(scores, grades, seed):
    shuffle = np.random.default_rng(seed).permutation(8)
    for name in [*NAMES, "median_rank"]:
        m = metric(name)
        value = m(scores, grades)
        assert np.isnan(value).tolist() == (grades.sum(axis=1) == 0).tolist()
        if m.bounds:
            assert np.nanmin(np.append(value, 0)) >= 0
            assert np.nanmax(np.append(value, 0)) <= 1 + 1e-12
        np.testing.assert_allclose(m(np.exp(scores)[:, shuffle], grades[:, shuffle]), value, atol=1e-12)
