"""Torch's global state, changed for a block and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from commonspace.core.method import check_choice


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for a block and leave its global state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def matmul_precision(precision: str | None) -> Iterator[None]:
    """Set the precision of float32 matrix products for a block; None leaves it."""
    if precision is None:
        yield
        return
    check_choice("precision", precision, ("highest", "high", "medium"))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
