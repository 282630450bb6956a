import numpy as np
import pytest

from commonspace.core.errors import BadInput, CommonspaceError
from commonspace.core.vectors import unit
from commonspace.measure import CollapseAlarm, Collapsed


def batches(widths: list[float], dim: int = 16, size: int = 64):
    """A batch for each width: 1 is an even cloud, 0 a point."""
    rng = np.random.default_rng(0)
    for width in widths:
        Z = width * rng.normal(size=(size, dim))
        Z[:, 0] += 4
        yield unit(Z.astype(np.float32))


def told(alarm: CollapseAlarm, widths: list[float]) -> list[bool]:
    return [alarm.update(Z) for Z in batches(widths)]


def test_a_cloud_that_shrinks_to_a_point_sets_the_alarm_off():
    alarm = CollapseAlarm()
    heard = told(alarm, [1.0] * 20 + [0.03] * 60)
    assert not any(heard[:20])
    assert heard[-1]
    assert alarm.collapsed
    assert alarm.rank < alarm.highest / 2
    assert "collapse at step 80" in alarm.message


def test_a_steady_or_growing_cloud_does_not():
    assert not any(told(CollapseAlarm(), [1.0] * 100))
    assert not any(told(CollapseAlarm(), list(np.linspace(0.5, 3, 100))))


def test_vectors_that_are_one_point_from_the_start_set_it_off_too():
    assert told(CollapseAlarm(), [0.0] * 5)[-1]


def test_it_falls_silent_when_the_rank_recovers():
    alarm = CollapseAlarm()
    heard = told(alarm, [1.0] * 10 + [0.01] * 60 + [1.0] * 60)
    assert heard[69]
    assert not heard[-1]


def test_it_raises_where_it_is_asked_to():
    alarm = CollapseAlarm(raises=True)
    with pytest.raises(Collapsed, match="effective rank"):
        told(alarm, [1.0] * 10 + [0.01] * 80)
    assert issubclass(Collapsed, CommonspaceError)


def test_few_rows_are_waited_for_and_looks_are_taken_every_so_often():
    alarm = CollapseAlarm(every=5)
    told(alarm, [1.0] * 12)
    assert [step for step, _ in alarm.history] == [5, 10]
    small = CollapseAlarm()
    for Z in batches([1.0] * 4, dim=64, size=20):
        assert not small.update(Z)
    assert not small.history


def test_the_rank_of_one_batch_is_that_of_its_spectrum():
    alarm = CollapseAlarm()
    (Z,) = batches([1.0])
    alarm.update(Z)
    s = np.linalg.svd(Z, compute_uv=False)
    p = s / s.sum()
    assert alarm.rank == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-5)


def test_another_dimension_nan_and_empty_batches():
    alarm = CollapseAlarm()
    assert not alarm.update(np.zeros((0, 4)))
    alarm.update(np.ones((3, 4)))
    with pytest.raises(BadInput, match="dimension 5"):
        alarm.update(np.ones((3, 5)))
    with pytest.raises(BadInput, match="NaN"):
        alarm.update(np.full((3, 4), np.nan))
    with pytest.raises(BadInput, match="share"):
        CollapseAlarm(share=1.5)
