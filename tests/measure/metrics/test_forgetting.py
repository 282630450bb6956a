import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import compare, estimate, retrieval_forgetting


def hits(sizes=(60, 200), then=(0.8, 0.5), lost=(0.3, 0.1), seed: int = 0):
    rng = np.random.default_rng(seed)
    old = {f"stage {s}": (rng.random(n) < p).astype(float) for s, (n, p) in enumerate(zip(sizes, then, strict=True))}
    new = {name: v * (rng.random(len(v)) >= q) for (name, v), q in zip(old.items(), lost, strict=True)}
    return old, new


def test_a_stage_is_compared_over_its_queries_and_p_values_are_corrected():
    old, new = hits()
    found = retrieval_forgetting(old, new)
    raw = [compare(new[name], old[name]) for name in old]
    for stage, alone in zip(found.stages.values(), raw, strict=True):
        assert (stage.difference, stage.low, stage.high) == (alone.difference, alone.low, alone.high)
        assert stage.p_value_raw == alone.p_value
    first, second = sorted(found.stages.values(), key=lambda c: c.p_value_raw)
    assert first.p_value == pytest.approx(min(1, 2 * first.p_value_raw))
    assert second.p_value == pytest.approx(max(first.p_value, second.p_value_raw))


def test_stages_count_the_same_however_many_queries_they_have():
    old, new = hits()
    found = retrieval_forgetting(old, new)
    changes = [new[name].mean() - old[name].mean() for name in old]
    assert found.average.difference == pytest.approx(np.mean(changes))
    kept = np.mean([v.mean() for v in new.values()]) / np.mean([v.mean() for v in old.values()])
    assert found.kept.value == pytest.approx(kept)
    assert found.kept.n == found.average.n == 260


def test_intervals_cover_what_is_true_of_other_queries():
    truth = {"average": -(0.8 * 0.3 + 0.5 * 0.1) / 2, "kept": 1 - (0.8 * 0.3 + 0.5 * 0.1) / 1.3}
    covered = dict.fromkeys(truth, 0)
    for s in range(100):
        found = retrieval_forgetting(*hits(seed=s), test="t", random_state=s)
        for name, true in truth.items():
            figure = getattr(found, name)
            covered[name] += figure.low <= true <= figure.high
    assert all(count >= 89 for count in covered.values()), covered


def test_what_is_found_as_before_is_kept_whole():
    old, _ = hits()
    found = retrieval_forgetting(old, old)
    assert (found.kept.value, found.kept.low, found.kept.high) == pytest.approx((1, 1, 1))
    assert found.average.difference == 0
    assert all(c.p_value == 1 for c in found.stages.values())


def test_queries_of_one_thing_are_one_unit():
    old, new = hits(sizes=(60, 90))
    thrice = [{name: np.repeat(v, 3) for name, v in side.items()} for side in (old, new)]
    groups = {name: np.repeat(np.arange(len(v)), 3) for name, v in old.items()}
    one, other = retrieval_forgetting(old, new), retrieval_forgetting(*thrice, groups=groups)
    assert (other.kept.low, other.kept.high) == pytest.approx((one.kept.low, one.kept.high))
    assert (other.average.low, other.average.high) == pytest.approx((one.average.low, one.average.high))
    assert other.average.groups == 150
    naive = retrieval_forgetting(*thrice)
    assert naive.average.high - naive.average.low < 0.7 * (one.average.high - one.average.low)


def test_estimates_stand_for_their_queries():
    old, new = hits()
    told = [{name: estimate(v) for name, v in side.items()} for side in (old, new)]
    assert retrieval_forgetting(*told).to_dict() == retrieval_forgetting(old, new).to_dict()


def test_the_report_reads_well():
    found = retrieval_forgetting(*hits())
    assert json.loads(json.dumps(found.to_dict()))["kept"]["n"] == 260
    assert str(found).splitlines()[0].startswith("stage 0  now - then: -0.")
    assert str(found).splitlines()[-1].startswith("kept     0.")


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        ({}, {}, "at least one"),
        ({"a": [1, 0]}, {"b": [1, 0]}, "same stages"),
        ({"a": [1, 0]}, {"a": [1]}, "2 queries then and 1 now"),
        ({"a": [1, np.nan]}, {"a": [1, 0]}, "NaN"),
        ({"a": [0, 0]}, {"a": [1, 0]}, "nothing was found then"),
        ({"a": []}, {"a": []}, "n of at least 1"),
    ],
)
def test_bad_input_is_named(then, now, words):
    with pytest.raises(BadInput, match=words):
        retrieval_forgetting(then, now)


def test_one_query_says_nothing_of_others():
    found = retrieval_forgetting({"a": [1.0]}, {"a": [0.5]})
    assert found.kept.value == found.kept.low == found.kept.high == 0.5
