import json

import numpy as np
import pytest
from scipy import stats

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import drift


def cloud(n: int = 200, dim: int = 8, seed: int = 0, shift: float = 0.0, widen: float = 1.0) -> np.ndarray:
    Z = np.random.default_rng(seed).normal(size=(n, dim))
    Z[:, 0] = Z[:, 0] * widen + shift + 1
    return unit(Z.astype(np.float32))


def versions(n: int = 200, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 8))
    return tuple(unit((Z + noise * rng.normal(size=Z.shape)).astype(np.float32)) for _ in range(2))


def squared(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.square(a.astype(float) - b).sum())


@pytest.mark.parametrize("same", [False, True])
def test_mmd_and_shift_equal_the_naive_loops(same):
    X, Y = cloud(40), cloud(40 if same else 30, seed=1, shift=0.5)
    found = drift(X, Y, same_items=same, permutations=9)
    Z = np.concatenate([X, Y])
    h = np.median([squared(Z[i], Z[j]) for i in range(len(Z)) for j in range(i)])

    def mean(a, b, apart, f):
        return np.mean([f(a[i], b[j]) for i in range(len(a)) for j in range(len(b)) if not (apart and i == j)])

    def three(f):
        return mean(X, X, True, f), mean(Y, Y, True, f), mean(X, Y, same, f)

    xx, yy, xy = three(lambda a, b: np.exp(-squared(a, b) / h))
    assert found.mmd.value == pytest.approx(xx + yy - 2 * xy, abs=1e-6)
    xx, yy, xy = three(lambda a, b: float(a.astype(float) @ b))
    assert found.shift.value == pytest.approx(np.sqrt(max(xx + yy - 2 * xy, 0) / (1 - (xx + yy) / 2)), abs=1e-6)
    assert (found.n, found.m) == (40, len(Y))


def test_planted_drift_of_the_mean_or_the_spread_is_found():
    for change in ({"shift": 0.5}, {"widen": 2.5}):
        found = drift(cloud(400), cloud(400, seed=1, **change))
        assert found.drifted
        assert found.mmd.low > 0
        assert "drift" in str(found)
    mean = drift(cloud(400), cloud(400, seed=1, shift=0.7))
    assert mean.auc.low > 0.55
    assert mean.shift.low > 0.1


def test_false_alarms_are_as_rare_as_promised():
    p = [drift(cloud(60, seed=2 * s), cloud(50, seed=2 * s + 1), permutations=99).p_value for s in range(40)]
    assert sum(v < 0.05 for v in p) <= 6  # 2 expected; more than 6 has a chance below 1 %
    assert stats.kstest(p, "uniform").pvalue > 0.001
    same = [drift(*versions(60, seed=s), same_items=True, permutations=99).p_value for s in range(40)]
    assert sum(v < 0.05 for v in same) <= 6
    assert stats.kstest(same, "uniform").pvalue > 0.001


def test_the_auc_of_no_drift_is_covered_and_so_is_that_of_a_known_one():
    inside = [0, 0]
    for seed in range(25):
        none = drift(cloud(100, seed=2 * seed), cloud(100, seed=2 * seed + 1), permutations=1).auc
        inside[0] += none.low <= 0.5 <= none.high
        rng = np.random.default_rng(seed)
        tight = [unit(np.eye(8)[0] + 0.05 * rng.normal(size=(150, 8)) + [0, s, *[0] * 6]) for s in (0, 0.05)]
        some = drift(*tight, permutations=1).auc  # one standard deviation apart
        inside[1] += some.low <= stats.norm.cdf(1 / np.sqrt(2)) <= some.high
    assert min(inside) >= 20  # 24 expected


def test_the_interval_of_mmd_covers_that_of_endless_rows():
    truth = drift(cloud(1500), cloud(1500, seed=1, shift=0.7), most=1500, permutations=1)
    inside = [0, 0]
    for seed in range(25):
        found = drift(cloud(80, seed=2 * seed + 5), cloud(80, seed=2 * seed + 6, shift=0.7), permutations=1)
        for i, name in enumerate(("mmd", "shift")):
            e, t = getattr(found, name), getattr(truth, name)
            inside[i] += e.low <= t.value <= e.high
    assert min(inside) >= 20


def test_samples_that_lie_apart_are_told_apart_without_certainty():
    found = drift(cloud(50), -cloud(50, seed=1) + np.array([-3] + [0] * 7))
    assert found.auc.value == 1
    assert found.auc.low == pytest.approx(0.025 ** (1 / 50))


def test_versions_of_the_same_items_show_drift_that_samples_hide():
    X = cloud(150, dim=16)
    Y = unit(X + np.array([0.12] + [0] * 15))
    assert drift(X, Y, same_items=True).drifted
    found = drift(X, Y, same_items=True)
    assert found.mmd.high - found.mmd.low < (lambda d: d.mmd.high - d.mmd.low)(drift(X, Y))


def test_sides_can_be_exchanged_and_forms_do_not_matter(tmp_path):
    X, Y = cloud(), cloud(150, seed=1, shift=0.3)
    one, other = drift(X, Y), drift(Y, X)
    assert other.mmd.value == pytest.approx(one.mmd.value)
    assert other.shift.value == pytest.approx(one.shift.value)
    X.tofile(tmp_path / "x")
    held = np.memmap(tmp_path / "x", dtype=np.float32, mode="r", shape=X.shape)
    assert drift(held, Y) == one
    assert drift([X[:90], X[90:]], Y).mmd.value == pytest.approx(one.mmd.value)


def test_sick_rows_are_left_out():
    X, Y = versions()
    X[4], Y[7] = 0, np.nan
    assert drift(X, Y, same_items=True, permutations=9).n == 198
    apart = drift(X, Y, permutations=9)
    assert (apart.n, apart.m) == (199, 199)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X, Y: drift(X, Y[:, :3]), "needs one space"),
        (lambda X, Y: drift(X, Y[:5]), "at least 10 rows"),
        (lambda X, Y: drift(X, Y[:50], same_items=True), "same items"),
        (lambda X, Y: drift(X, Y, most=0), "most"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(call, words):
    with pytest.raises(BadInput, match=words):
        call(*versions())


def test_the_reports_are_plain_data():
    X, Y = versions()
    json.dumps(drift(X, Y, permutations=9).to_dict())
    assert drift(X, Y, random_state=np.random.default_rng(0), permutations=9).mmd.seed is None
