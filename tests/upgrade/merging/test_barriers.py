import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging import barrier

N = 200


def model(x, seed=0):
    return {"x": np.full((20, 20), x, np.float32)}


def along(curve, noise=0.1, n=N):
    """A metric whose mean at x is curve(x), with queries that differ."""
    hard = noise * np.random.default_rng(0).normal(size=n)

    def metric(found):
        return curve(float(found["x"][0, 0])) + hard

    return metric


def test_a_line_has_no_barrier():
    found = barrier(model(0), model(1), along(lambda x: 0.2 + 0.6 * x))
    assert found.verdict == "no barrier"
    assert found.barrier.value == pytest.approx(0, abs=1e-6)
    assert found.shares[found.best] == 1


def test_a_valley_of_known_depth_is_found_where_it_is():
    found = barrier(model(0), model(1), along(lambda x: 0.8 - 0.3 * (abs(x - 0.3) < 0.05)))
    assert found.verdict == "barrier"
    assert found.barrier.value == pytest.approx(0.3)
    assert [round(d.value, 6) for d in found.drops].index(0.3) == 3


def test_the_drop_is_measured_from_the_line_between_the_ends():
    found = barrier(model(0), model(1), along(lambda x: x**2))
    for s, d in zip(found.shares, found.drops, strict=True):
        assert d.value == pytest.approx(s - s**2, abs=1e-5)
    assert found.barrier.value == pytest.approx(0.25, abs=1e-5)


def test_a_hill_is_no_barrier_and_its_gain_is_told():
    found = barrier(model(0), model(1), along(lambda x: 0.5 + x * (1 - x)))
    assert found.verdict == "no barrier"
    assert found.shares[found.best] == 0.5
    assert found.gain.difference == pytest.approx(0.25, abs=1e-5)
    assert (found.gain.a, found.gain.b) == ("best share", "better end")


def test_the_interval_pays_for_choosing_the_deepest_of_many():
    """Of 9 drops that are all noise the deepest is deep; its interval holds 0 as often as it says."""
    covered = alone = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = {round(s / 10, 1): rng.normal(size=50) for s in range(11)}

        def metric(found, values=values):
            return values[round(float(found["x"][0, 0]), 1)]

        found = barrier(model(0), model(1), metric, resamples=200)
        covered += found.barrier.low <= 0
        at = found.drops.index(found.barrier)
        half = (found.figures[at].high - found.figures[at].low) / 2
        alone += found.barrier.value - half * np.sqrt(1.5) <= 0
    assert covered >= 35  # 95 % of 40 is 38
    assert alone < covered


def test_tasks_count_alike_however_many_queries_they_have():
    def metric(found):
        x = float(found["x"][0, 0])
        return {"few": np.full(10, 1 - x) + np.linspace(-1, 1, 10), "many": np.full(90, x) + np.linspace(-1, 1, 90)}

    found = barrier(model(0), model(1), metric)
    assert [f.value for f in found.figures] == pytest.approx([0.5] * 11, abs=1e-5)
    assert found.figures[0].n == 100


def test_queries_of_one_group_are_drawn_together():
    rng = np.random.default_rng(0)
    noise = {s: np.repeat(rng.normal(size=20), 10) for s in range(11)}

    def metric(found):
        return noise[round(10 * float(found["x"][0, 0]))]

    apart, together = (barrier(model(0), model(1), metric, groups=g) for g in (None, np.repeat(np.arange(20), 10)))
    assert together.barrier.value == apart.barrier.value
    assert together.barrier.high - together.barrier.low > 2 * (apart.barrier.high - apart.barrier.low)


def test_the_ends_are_always_looked_at():
    assert barrier(model(0), model(1), along(lambda x: x), shares=[0.5]).shares == (0.0, 0.5, 1.0)


def test_it_is_printed_and_written_down():
    found = barrier(model(0), model(1), along(lambda x: x), shares=[0.5])
    assert json.loads(json.dumps(found.to_dict()))["verdict"] == "no barrier"
    assert "share 0.50" in str(found)


def test_wrong_arguments_are_refused():
    with pytest.raises(BadInput, match="shares must lie"):
        barrier(model(0), model(1), along(lambda x: x), shares=[2])
    sizes = iter([5, 6, 7])
    with pytest.raises(BadInput, match="same queries"):
        barrier(model(0), model(1), lambda m: np.zeros(next(sizes)), shares=[0.5])
