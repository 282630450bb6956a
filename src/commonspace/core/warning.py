"""Warnings that point at the line of the caller, however deep in the library they arise."""

from __future__ import annotations

import sys
import warnings

_US = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Warn (`RuntimeWarning`), in the name of the nearest line that is not of this library."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _US:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RuntimeWarning, stacklevel=level)
