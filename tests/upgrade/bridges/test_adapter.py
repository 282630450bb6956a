import subprocess
import sys

import numpy as np
import pytest
from tests.bridge_worlds import rows, turned, turned_apart

from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.registry import build, describe, restore
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges import training
from commonspace.upgrade.bridges.keeping import neighbours_kept
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.pairs import Pairs


def bent(n=900, dim=6, modalities=("text",)):
    """Return items of which the new space is a curved function of the old one, so that no matrix says it all."""
    turn = np.random.default_rng(5).normal(size=(dim, dim))
    old = {m: rows(n, dim, i) for i, m in enumerate(modalities)}
    return Pairs(old, {m: unit(np.abs(2 * x @ turn) + 0.3 * x).astype(np.float32) for m, x in old.items()})


def kept(bridge, pairs, m="text"):
    old, new = pairs.old[m], pairs.new[m]
    across = (new, bridge.carry(old, m)) if bridge.carries == "items" else (bridge.carry(new, m), old)
    return neighbours_kept(*across, (new, new), True)


def test_where_no_matrix_says_it_all_it_keeps_more_neighbours_than_the_linear_bridge():
    pairs = bent()
    learned, new = (pairs.take({"text": r}) for r in (np.arange(600), np.arange(600, 900)))
    linear = build("Bridge", "ridge").fit(learned)
    adapter = build("Bridge", "adapter", lr=3e-3, epochs=30).fit(learned)
    assert adapter.epochs_[""] > 0
    assert kept(adapter, new) > kept(linear, new) + 0.05


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_where_nothing_is_to_be_gained_it_is_the_linear_bridge(carries):
    pairs = turned(n=150)
    adapter = build("Bridge", "adapter", carries=carries, epochs=3, patience=1).fit(pairs)
    linear = build("Bridge", "ridge", carries=carries, way=adapter.chosen_[""].split(", ")[1]).fit(pairs)
    assert set(adapter.epochs_.values()) == {0}
    assert adapter.numbers == linear.numbers
    x = pairs.old["text"] if carries == "items" else pairs.new["text"]
    np.testing.assert_allclose(adapter.carry(x, "text"), linear.carry(x, "text"), atol=1e-6)


def test_with_few_rows_nothing_is_trained():
    pairs = bent(n=40)
    adapter = build("Bridge", "adapter", lr=1e-2).fit(pairs)
    assert adapter.epochs_ == {"": 0}
    assert np.array_equal(
        adapter.carry(pairs.old["text"]), build("Bridge", "ridge").fit(pairs).carry(pairs.old["text"])
    )


def test_each_map_of_the_start_has_a_correction_of_its_own():
    adapter = build("Bridge", "adapter", lr=3e-3, epochs=4).fit(turned_apart(n=200))
    assert set(adapter.epochs_) == {"text", "image", ""}


def test_what_was_trained_survives_its_state():
    pairs = bent(n=300, modalities=("text/en", "image"))
    was = build("Bridge", "adapter", lr=3e-3, epochs=4).fit(pairs)
    assert max(was.epochs_.values()) > 0
    back = restore("Bridge", describe(was), was.split_state()[1])
    assert back.fingerprint == was.fingerprint
    assert back.numbers == was.numbers > build("Bridge", "ridge").fit(pairs).numbers
    for m in ("text/en", "image", None):
        assert np.array_equal(back.carry(pairs.old["image"], m), was.carry(pairs.old["image"], m))


def test_the_seed_decides_and_torchs_own_generator_is_left_alone():
    import torch

    pairs = bent(n=200)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two, other = (
        build("Bridge", "adapter", lr=3e-3, epochs=3).fit(pairs, random_state=s).carry(pairs.old["text"])
        for s in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_an_interrupt_ends_training_and_leaves_nothing_half_learned(monkeypatch):
    calls = []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return loss(*args)

    loss = training.loss
    monkeypatch.setattr(training, "loss", interrupted)
    adapter = build("Bridge", "adapter")
    with pytest.raises(KeyboardInterrupt):
        adapter.fit(bent(n=400))
    with pytest.raises(NotFitted):
        adapter.carry(rows(3, 6))
    monkeypatch.undo()
    assert adapter.fit(bent(n=100)).carry(rows(3, 6)).shape == (3, 6)


def test_vectors_cross_without_torch(tmp_path):
    pairs = bent(n=200)
    was = build("Bridge", "adapter", lr=3e-3, epochs=3).fit(pairs)
    Migration("a", "b", 6, was).save(tmp_path / "m")
    np.save(tmp_path / "x.npy", pairs.old["text"])
    program = """
import sys
import numpy as np
from commonspace.upgrade.migration import Migration
x, m, y = sys.argv[1:]
np.save(y, Migration.load(m).bridge.carry(np.load(x)))
sys.exit("torch" in sys.modules)
"""
    paths = [str(tmp_path / name) for name in ("x.npy", "m", "y.npy")]
    subprocess.run([sys.executable, "-c", program, *paths], check=True)
    np.testing.assert_array_equal(np.load(paths[2]), was.carry(pairs.old["text"]))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("hidden", 0), ("patience", 0), ("batch_size", 0), ("held_out", 1.0), ("cosine", -1), ("epochs", "many"),
     ("sharpness", np.nan), ("dropout", 1)],
)  # fmt: skip
def test_bad_arguments_are_named(argument, value):
    with pytest.raises(BadInput, match=argument):
        build("Bridge", "adapter", **{argument: value}).fit(bent(n=100))
