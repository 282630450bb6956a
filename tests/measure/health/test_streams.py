import numpy as np
import pytest

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit
from commonspace.measure.health import streams
from commonspace.measure.health.streams import Rows


@pytest.fixture
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


def memory_map(X: np.ndarray, folder, mode: str = "r") -> np.memmap:
    path = folder / "x.f32"
    X.tofile(path)
    return np.memmap(path, dtype=X.dtype, mode=mode, shape=X.shape)


def forms(X: np.ndarray, folder) -> list:
    return [X, X.tolist(), memory_map(X, folder), [X[:20], X[20:21], X[21:]], (b for b in np.split(X, 5))]


def test_every_form_gives_the_same_rows_at_the_same_positions(X, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "ENTRIES", 28)  # seven rows a block
    for form in forms(X, tmp_path):
        rows = Rows(form)
        found = list(rows.unit_blocks())
        np.testing.assert_allclose(np.concatenate([b for _, b in found]), unit(X), atol=1e-6)
        np.testing.assert_array_equal(np.concatenate([p for p, _ in found]), np.arange(50))
        assert (rows.n, rows.dim, rows.skipped) == (50, 4, 0)


def test_an_array_is_read_in_blocks_of_bounded_size(X, monkeypatch):
    monkeypatch.setattr(streams, "ENTRIES", 28)
    assert max(len(b) for _, b in Rows(X).blocks()) == 7


def test_rows_without_a_direction_are_left_out_and_counted(X):
    X[3], X[7, 1], X[49, 0] = 0, np.nan, np.inf
    rows = Rows([X[:5], X[5:]])
    assert [i for p, _ in rows.unit_blocks() for i in p] == [i for i in range(50) if i not in (3, 7, 49)]
    assert rows.skipped == 3
    assert sum(len(b) for _, b in rows.finite_blocks()) == 48
    assert rows.skipped == 2


def test_a_sample_is_of_different_rows_in_order_whatever_the_form(X, tmp_path):
    for form in forms(X, tmp_path):
        positions, rows = Rows(form).sample(20, np.random.default_rng(1))
        assert len(set(positions)) == 20
        assert (np.diff(positions) > 0).all()
        np.testing.assert_allclose(rows, unit(X)[positions], atol=1e-6)


def test_a_sample_of_a_stream_takes_every_row_equally_often(X):
    counts = np.zeros(50)
    for seed in range(400):
        positions, _ = Rows(iter(np.split(X, 10))).sample(10, np.random.default_rng(seed))
        counts[positions] += 1
    assert counts.min() > 45
    assert counts.max() < 120  # 80 expected, standard deviation 8


def test_rows_are_taken_by_position_with_sick_ones_marked(X, tmp_path):
    X[8] = np.nan
    for form in forms(X, tmp_path):
        rows = Rows(form)
        if rows.once:
            continue
        taken, good = rows.take(np.array([1, 8, 30]))
        assert good.tolist() == [True, False, True]
        np.testing.assert_allclose(taken[[0, 2]], unit(X[[1, 30]]), atol=1e-6)
        assert not taken[1].any()


def test_an_iterator_is_read_once_and_says_so_the_second_time(X):
    rows = Rows(iter([X]))
    assert rows.once
    list(rows.blocks())
    with pytest.raises(BadInput, match="can be read once"):
        list(rows.blocks())
    assert not Rows([X]).once


def test_a_memory_map_that_is_written_to_keeps_what_was_written(X, tmp_path):
    held = memory_map(X, tmp_path, "c")
    held[0] = 7
    list(Rows(held).blocks())
    assert (np.asarray(held[0]) == 7).all()


def test_blocks_of_different_width_and_things_that_are_no_vectors_are_refused(X):
    with pytest.raises(SpaceMismatch, match="4 and 3"):
        list(Rows([X, X[:, :3]]).blocks())
    for wrong in (3, "text", X[0], [["a", "b"]], X[None]):
        with pytest.raises(BadInput):
            list(Rows(wrong).blocks())


def test_huge_tiny_and_half_precision_rows_keep_their_direction():
    big = np.array([[3e300, 4e300], [3e-300, 4e-300]])
    ((_, rows),) = Rows(big).unit_blocks()
    np.testing.assert_allclose(rows, [[0.6, 0.8]] * 2, atol=1e-6)
    ((_, rows),) = Rows(np.array([[60000, 60000]], np.float16)).unit_blocks()
    np.testing.assert_allclose(rows, [[0.5**0.5] * 2], atol=1e-6)


def test_no_rows_are_no_blocks():
    assert list(Rows(np.zeros((0, 4), np.float32)).unit_blocks()) == []
    assert list(Rows(iter([])).blocks()) == []
