import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import Net, head, moved

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging import vectors as module
from commonspace.upgrade.merging.models import model_of
from commonspace.upgrade.merging.vectors import Partition, TaskVectors


def vectors_of(k=2, cached=True, monkeypatch=None):
    base = head()
    if not cached:
        monkeypatch.setattr(module, "MOST_CACHED", 0)
    return base, {f"t{i}": head(i + 1, base=base) for i in range(k)}


def made(base, tuned):
    return TaskVectors(model_of(base), {t: model_of(m) for t, m in tuned.items()})


def flat(state, vectors):
    return np.concatenate([np.asarray(state[b]).ravel() for b in vectors.blocks])


@pytest.mark.parametrize("cached", [True, False])
def test_a_combination_is_what_the_formula_says(cached, monkeypatch):
    base, tuned = vectors_of(3, cached, monkeypatch)
    v = made(base, tuned)
    c = torch.tensor([0.5, -0.25, 2.0], dtype=torch.float64)
    found = v.state(v.everywhere(c))
    for b in v.blocks:
        want = base.arrays()[b] + sum(
            float(w) * (m.arrays()[b] - base.arrays()[b]) for w, m in zip(c, tuned.values(), strict=True)
        )
        np.testing.assert_allclose(found[b].numpy(), want, rtol=1e-4, atol=1e-5)


def test_the_ends_of_a_line_are_the_models_to_the_last_bit():
    base, tuned = vectors_of(2)
    v = made(base, tuned)
    for i, m in enumerate(tuned.values()):
        found = v.state(v.everywhere(torch.eye(2)[i]))
        assert all(np.array_equal(found[b].numpy(), m.arrays()[b]) for b in v.blocks)
    found = v.state(v.everywhere(torch.zeros(2)))
    assert all(np.array_equal(found[n].numpy(), base.arrays()[n]) for n in v.blocks)


def test_inner_products_are_those_of_the_flat_vectors():
    base, tuned = vectors_of(3)
    v = made(base, tuned)
    T = np.stack([flat(m.arrays(), v) - flat(base.arrays(), v) for m in tuned.values()]).astype(float)
    np.testing.assert_allclose(v.gram(), T @ T.T, rtol=1e-5)
    assert v.base_norm() == pytest.approx(np.linalg.norm(flat(base.arrays(), v)), rel=1e-6)


def test_coefficients_may_differ_from_block_to_block():
    base, tuned = vectors_of(2)
    v = made(base, tuned)
    c = torch.zeros(2, len(v.blocks), 1)
    c[1, 3] = 1
    found = v.state(c)
    for at, b in enumerate(v.blocks):
        assert np.array_equal(found[b].numpy(), (tuned["t1"] if at == 3 else base).arrays()[b])


def test_the_parts_of_a_block_have_coefficients_of_their_own():
    base, tuned = vectors_of(1)
    v = made(base, tuned)
    p = Partition(3, seed=5)
    c = torch.zeros(1, len(v.blocks), 3)
    c[:, :, 2] = 1
    block = v.blocks[0]
    mask = (p.of(v.sizes[0], 0) == 2).numpy().reshape(base.arrays()[block].shape)
    want = np.where(mask, tuned["t0"].arrays()[block], base.arrays()[block])
    np.testing.assert_array_equal(v.mixed(c, block, p).numpy(), want)
    assert 0 < mask.mean() < 1


def test_parts_are_dealt_anew_for_each_block_and_alike_for_each_seed():
    assert torch.equal(Partition(4, 1).of(50, 0), Partition(4, 1).of(50, 0))
    assert not torch.equal(Partition(4, 1).of(50, 0), Partition(4, 1).of(50, 1))
    assert not torch.equal(Partition(4, 1).of(50, 0), Partition(4, 2).of(50, 0))
    assert Partition(256, 1).of(10_000, 0).unique().numel() == 256


@pytest.mark.parametrize("parts", [1, 3])
def test_slopes_are_inner_products_of_the_gradient_with_each_part(parts):
    base, tuned = vectors_of(2)
    v = made(base, tuned)
    p = Partition(parts, 0) if parts > 1 else None
    g = {b: torch.randn(v.base(b).shape) for b in v.blocks}
    found = v.slopes(g, p)
    assert found.shape == (2, len(v.blocks), parts)
    for i, t in enumerate(v.tasks):
        for at, b in enumerate(v.blocks):
            for part in range(parts):
                mask = (p.of(v.sizes[at], at) == part).view(g[b].shape) if p else torch.ones_like(g[b])
                assert found[i, at, part].item() == pytest.approx((g[b] * v.vector(t, b) * mask).sum().item(), abs=1e-4)


def test_a_merged_state_keeps_dtype_ties_integers_and_the_mean_of_running_statistics():
    net = Net().half()
    tuned = {"a": moved(net, 1), "b": moved(net, 2)}
    v = made(net, tuned)
    found = v.state(v.everywhere(torch.tensor([3.0, -2.0])))
    assert {n: t.dtype for n, t in found.items()} == {n: t.dtype for n, t in net.state_dict().items()}
    assert found["again.weight"] is found["back.weight"]
    assert found["norm.num_batches_tracked"] == 0
    mean = (tuned["a"].norm.running_var.double() + tuned["b"].norm.running_var.double()) / 2
    np.testing.assert_allclose(found["norm.running_var"].double(), mean, atol=2e-3)
    net.load_state_dict(found)


def test_float64_is_computed_in_float64():
    net = Net().double()
    v = made(net, {"a": moved(net, 1)})
    assert v.base("first.weight").dtype == torch.float64


def test_models_are_left_as_they_were():
    base, tuned = vectors_of(2)
    before = [m.fingerprint for m in (base, *tuned.values())]
    v = made(base, tuned)
    for b in v.blocks:
        v.mixed(v.uniform(), b).add_(1)
    found = v.state(v.uniform())
    for t in found.values():
        t.add_(1)
    assert [m.fingerprint for m in (base, *tuned.values())] == before


def test_nothing_to_merge_is_said():
    with pytest.raises(BadInput, match="nothing to merge"):
        made(head(), {})
