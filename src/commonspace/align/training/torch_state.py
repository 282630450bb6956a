"""Torch's global state while heads are trained: seeded, at the precision asked for, and put back afterwards."""

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
def at_precision(precision: str | None) -> Iterator[None]:
    """Multiply float32 matrices at a precision for a block; None leaves torch's setting."""
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
