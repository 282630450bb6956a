from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from commonspace.core.views import Views


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_views(
    n: int = 7,
    dim: int = 5,
    modalities: tuple[str, ...] = ("text", "image"),
    seed: int = 0,
    share: float = 1.0,
    groups: np.ndarray | None = None,
    dtype: torch.dtype = torch.float64,
) -> Views:
    """Unit rows at random, others in an earlier space; `share` of the items has each modality; groups are relevant."""
    g = torch.Generator().manual_seed(seed)
    z = {m: torch.nn.functional.normalize(torch.randn(n, dim, generator=g, dtype=dtype), dim=1) for m in modalities}
    present = {m: torch.rand(n, generator=g) < share for m in modalities}
    key = torch.arange(n) if groups is None else torch.from_numpy(np.asarray(groups))
    old = {
        m: torch.nn.functional.normalize(torch.randn(n, dim - 1, generator=g, dtype=dtype), dim=1) for m in modalities
    }
    return Views(z=z, present=present, relevance=(key[:, None] == key[None, :]).to(dtype), groups=key, old=old)


def take(views: Views, index: torch.Tensor) -> Views:
    """The batch of only these items, in this order."""
    return Views(
        z={m: v[index] for m, v in views.z.items()},
        present={m: v[index] for m, v in views.present.items()},
        relevance=views.relevance[index][:, index],
        frozen={m: v[index] for m, v in views.frozen.items()},
        groups=None if views.groups is None else views.groups[index],
        old={m: v[index] for m, v in views.old.items()},
    )


def two_views(n: int = 400, seed: int = 0, noise: float = 0.05) -> dict[str, np.ndarray]:
    """One hidden vector an item, seen through two fixed nonlinear glasses."""
    rng = np.random.default_rng(seed)
    glasses = np.random.default_rng(99)
    hidden = rng.normal(size=(n, 8))
    a = np.tanh(hidden @ glasses.normal(size=(8, 24)) / 3) + noise * rng.normal(size=(n, 24))
    b = hidden @ glasses.normal(size=(8, 30)) + noise * rng.normal(size=(n, 30))
    return {"a": a.astype(np.float32), "b": b.astype(np.float32)}


def shuffled(n: int = 600, share: float = 0.3, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Two views with a share of partners dealt out anew: X, which pairs are wrong, whose partner each got."""
    X = two_views(n, seed=seed)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(n)[: int(share * n)]
    order = np.arange(n)
    order[chosen] = np.roll(chosen, 1)
    return {"a": X["a"], "b": X["b"][order]}, order != np.arange(n), order
