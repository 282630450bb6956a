from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import two_views

from commonspace.align.fit import fit_heads
from commonspace.align.forward import NEEDS, Layer, NumpyHead
from commonspace.align.heads.reopened import Reopened, Step
from commonspace.core.registry import build

SPECS: dict[str, Any] = {
    "linear": "linear",
    "mlp": {"name": "mlp", "hidden": 9, "layers": 2},
    "relu and batch statistics": {"name": "mlp", "hidden": 9, "norm": "batch", "activation": "relu", "shortcut": False},
    "residual": {"name": "residual", "layers": 3, "hidden": 9},
}


def trained(spec: Any, seed: int = 0) -> NumpyHead:
    torch.manual_seed(seed)
    head = build("Head", spec, d_in=7, dim=4)
    head.calibrate(rows())
    head.train()(torch.from_numpy(rows()))  # moves the statistics of a batch normalisation
    return head.eval().to_numpy()


def rows(n: int = 50, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 3, size=(n, 7)).astype(np.float32)


def heads() -> dict[str, NumpyHead]:
    found = {name: trained(spec) for name, spec in SPECS.items()}
    found["ensemble"] = NumpyHead.ensemble([trained("linear"), trained(SPECS["mlp"])])
    found["cut"] = found["residual"].truncate(layers=2, dim=3)
    return found


@pytest.mark.parametrize(("name", "head"), heads().items())
def test_it_gives_what_the_head_gives_in_torch_and_back(name: str, head: NumpyHead) -> None:
    opened = Reopened(head)
    with torch.no_grad():
        found = torch.nn.functional.normalize(opened(torch.from_numpy(rows())), dim=1)
    np.testing.assert_allclose(found.numpy(), head(rows()), atol=1e-5)
    np.testing.assert_allclose(opened.to_numpy()(rows()), head(rows()), atol=1e-6)


def test_every_layer_there_is_has_its_module() -> None:
    x = torch.randn(3, 4)
    arrays = {"mean": np.ones(4), "scale": np.full(4, 2.0), "shift": np.ones(4), "weight": np.ones((4, 4))}
    for op, needed in NEEDS.items():
        layer = Layer(op, {n: arrays[n].astype(np.float32) for n in needed}, ((), ()), size=4)
        alone = NumpyHead([layer], d_in=4, dim=8 if op == "concat" else 4)
        np.testing.assert_allclose(Step(layer, 0.0)(x).detach().numpy(), alone(x.numpy()), atol=1e-6)


def test_all_but_the_standardisation_is_trained() -> None:
    opened = Reopened(heads()["mlp"])
    opened(torch.from_numpy(rows())).square().sum().backward()
    assert all(p.grad is not None for p in opened.parameters())
    assert {n.rpartition(".")[2] for n, _ in opened.named_buffers()} == {"mean", "scale"}


def test_dropout_is_there_in_training_alone() -> None:
    opened = Reopened(heads()["mlp"], dropout=0.5)
    x = torch.from_numpy(rows())
    assert not torch.equal(opened(x), opened(x))
    opened.eval()
    assert torch.equal(opened(x), opened(x))


def test_training_goes_on_where_it_stopped_and_leaves_the_first_heads_alone() -> None:
    X = two_views(300)
    options: dict[str, Any] = {"valid": None, "baselines": (), "batch_size": 100, "dim": 6}
    first = fit_heads(X, head="linear", epochs=8, **options)
    before = {m: h.fingerprint for m, h in first.heads.items()}
    opened = {m: Reopened(h) for m, h in first.heads.items()}
    second = fit_heads(X, head=opened, epochs=1, lr=1e-7, weight_decay=0.0, **options)
    fresh = fit_heads(X, head="linear", epochs=1, lr=1e-7, **options)
    assert second.history[0]["loss"] == pytest.approx(first.history[-1]["loss"], abs=0.1)
    assert second.history[0]["loss"] < fresh.history[0]["loss"] - 0.5
    assert {m: h.fingerprint for m, h in first.heads.items()} == before
    for m in X:
        np.testing.assert_allclose(second.heads[m](X[m]), first.heads[m](X[m]), atol=1e-4)
