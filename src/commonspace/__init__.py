"""commonspace: items of any kind in one embedding space, searched, measured and upgraded.

Public names are imported on first use, so that ``import commonspace`` stays fast and never loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonspace.core import (
    BadInput,
    BadItems,
    Bags,
    Busy,
    CommonspaceError,
    Corrupt,
    NotFitted,
    NotFound,
    NotInstalled,
    Paper,
    SpaceMismatch,
    Views,
)
from commonspace.core.lazy import lazy

if TYPE_CHECKING:
    from commonspace.collection import Collection, Hits
    from commonspace.space import Space

__version__ = "0.1.0"

_LAZY = {"Space": "space", "Collection": "collection", "Hits": "collection"}

__all__ = [
    "BadInput",
    "BadItems",
    "Bags",
    "Busy",
    "Collection",
    "CommonspaceError",
    "Corrupt",
    "Hits",
    "NotFitted",
    "NotFound",
    "NotInstalled",
    "Paper",
    "Space",
    "SpaceMismatch",
    "Views",
    "__version__",
]

__getattr__, __dir__ = lazy(__name__, _LAZY, __all__)
