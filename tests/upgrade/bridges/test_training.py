import numpy as np
import pytest
import torch
from tests.bridge_worlds import rows

from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.training import Batch, Network, loss, standard


def start(d_in=6, d_out=5, seed=0):
    rng = np.random.default_rng(seed)
    factor = (4 * rng.normal(size=(d_in, d_out))).astype(np.float32)
    return Affine((factor,), rng.normal(size=d_out).astype(np.float32))


def network(hidden=7):
    torch.manual_seed(0)
    return Network.on(start(), torch.from_numpy(rows(50, 6)), hidden=hidden, dropout=0.0)


def test_it_begins_as_the_linear_bridge():
    x = rows(20, 6, seed=1)
    np.testing.assert_allclose(network()(torch.from_numpy(x)).detach().numpy(), unit(start()(x)), atol=1e-5)


def test_what_is_taken_out_of_it_is_what_was_learned():
    net = network()
    for w in net.weights:
        w.data = torch.randn_like(w)
    x = rows(20, 6, seed=1)
    across = unit(start()(x) + net.correction()(x))
    np.testing.assert_allclose(across, net(torch.from_numpy(x)).detach().numpy(), atol=1e-4)


def naive(landed, start, land, forward, cosine, sharpness):
    new = land if forward else start
    total = 0.0
    for i in range(len(landed)):
        truth = np.array([new[i] @ new[j] for j in range(len(new))])
        across = np.array([land[i] @ landed[j] if forward else landed[i] @ land[j] for j in range(len(new))])
        p, q = (np.exp(sharpness * (s - s.mean()) / s.std(ddof=1)) for s in (truth, across))
        p, q = p / p.sum(), q / q.sum()
        total += (p * np.log(p / q)).sum() + cosine * (1 - landed[i] @ land[i])
    return total / len(landed)


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_the_loss_is_the_formula(carries):
    net, x, y = network(), rows(12, 6, seed=1), rows(12, 5, seed=2)
    landed = net(torch.from_numpy(x)).detach().numpy()
    how = build("Bridge", "adapter", carries=carries, cosine=0.7, sharpness=3.0)
    want = naive(landed, x, y, carries == "items", 0.7, 3.0)
    assert loss(net, Batch.of(x, y), how).item() == pytest.approx(want, rel=1e-4)


def test_rows_that_meet_as_in_the_new_space_cost_nothing():
    x = rows(30, 6)
    itself = Affine((np.eye(6, dtype=np.float32),), np.zeros(6, np.float32))
    net = Network.on(itself, torch.from_numpy(x), hidden=3, dropout=0.5)
    for carries in ("items", "queries"):
        how = build("Bridge", "adapter", carries=carries)
        assert loss(net, Batch.of(x, x), how).item() == pytest.approx(0, abs=1e-4)


def test_the_mean_and_the_spread_of_cosines_do_not_matter():
    s = torch.randn(4, 9)
    torch.testing.assert_close(standard(0.1 * s + 7), standard(s), atol=1e-4, rtol=1e-4)
    assert torch.isfinite(standard(torch.ones(3, 5))).all()
