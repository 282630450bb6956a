import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import pair, rows

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.probes import Batch, Probe, Probes, as_probe


def rng():
    return np.random.default_rng(0)


def test_every_task_gives_as_many_rows_as_the_smallest_has():
    drawn = Probes({"a": pair(30), "b": pair(7)}, 128, rng()).draw()
    assert [len(b.views["a"]) for b in drawn.values()] == [7, 7]
    assert len(Probes({"a": pair(30)}, 16, rng()).draw()["a"].views["b"]) == 16


def test_rows_of_the_views_stay_together_and_groups_with_them():
    x = np.arange(10.0)[:, None]
    batch = Probes({"t": (x, -x, list("aabbccddee"))}, 6, rng()).draw()["t"]
    assert np.array_equal(batch.views["a"], -batch.views["b"])
    assert batch.groups.tolist() == (batch.views["a"][:, 0] // 2).astype(int).tolist()


def test_a_step_shows_no_row_twice():
    x = np.arange(10.0)[:, None]
    assert len(np.unique(Probes({"t": (x, x)}, 10, rng()).draw()["t"].views["a"])) == 10


def test_texts_and_tensors_are_drawn_like_rows():
    probe = Probe({"text": ["a", "b", "c"], "rows": torch.arange(3)})
    batch = probe.take(np.array([2, 0]))
    assert batch.views["text"] == ["c", "a"]
    assert batch.views["rows"].tolist() == [2, 0]
    assert batch.groups is None


def test_batches_are_taken_in_turn_as_they_are():
    probes = Probes({"t": ["first", "second"]}, 8, rng())
    assert [probes.draw()["t"] for _ in range(3)] == ["first", "second", "first"]


def test_what_a_task_may_be_given_as():
    assert list(as_probe({"text": rows(), "image": rows()}).views) == ["text", "image"]
    assert list(as_probe(pair()).views) == ["a", "b"]
    assert as_probe(Probe({"x": rows()})).views.keys() == {"x"}
    assert isinstance(Probe({"x": rows()}).take(np.array([0])), Batch)
    for wrong in (3, (rows(),), "text"):
        with pytest.raises(BadInput, match="a probe must be"):
            as_probe(wrong)


def test_probes_that_cannot_be_used_are_named():
    with pytest.raises(BadInput, match="hold the same things"):
        Probe({"a": rows(3), "b": rows(4)})
    with pytest.raises(BadInput, match="hold the same things"):
        Probe({"a": rows(0)})
    with pytest.raises(BadInput, match="one label for each of the 3 rows"):
        Probe({"a": rows(3)}, groups=[1, 2])
    with pytest.raises(BadInput, match="'a' of a probe holds NaN"):
        Probe({"a": np.full((2, 2), np.nan)})
    with pytest.raises(BadInput, match="must map tasks"):
        Probes([pair()], 8, rng())
    with pytest.raises(BadInput, match="probes of t hold no batch"):
        Probes({"t": []}, 8, rng())
    with pytest.raises(BadInput, match="those of u are missing"):
        Probes({"t": pair()}, 8, rng()).check_covers(["t", "u"], "it")
