"""Floor 3: changing the encoders of a space without starting over.

Merging trains and therefore needs torch, which is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commonspace.upgrade.merging import Barrier, Merged, MergeReport, Probe, barrier, interpolate, merge, soup

_LAZY = {
    "Barrier": "merging",
    "MergeReport": "merging",
    "Merged": "merging",
    "Probe": "merging",
    "barrier": "merging",
    "interpolate": "merging",
    "merge": "merging",
    "soup": "merging",
}

__all__ = ["Barrier", "MergeReport", "Merged", "Probe", "barrier", "interpolate", "merge", "soup"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"commonspace.upgrade.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
