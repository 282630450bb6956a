"""Compilation by Numba, for arguments of given types, at import.

What was compiled is kept beside the file, or in the user's cache folder, and later processes load it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import types

F = TypeVar("F", bound=Callable[..., Any])

if getattr(numba.config, "DISABLE_JIT", False):  # for a debugger; not all that is compiled here is Python
    raise ImportError("NUMBA_DISABLE_JIT is set")


def compiled(*signature: Any, fast: bool = False) -> Callable[[F], F]:
    """Compile for arguments of these types, in a form that other threads can run beside."""

    def make(function: F) -> F:
        options: dict[str, Any] = {"nogil": True, "fastmath": fast, "error_model": "numpy"}
        try:
            return cast(F, numba.njit(types.void(*signature), cache=True, **options)(function))
        except RuntimeError:  # no folder to keep it in
            return cast(F, numba.njit(types.void(*signature), **options)(function))

    return make


def read(kind: Any, dimensions: int) -> Any:
    """Return the type of an array that is only read, such as a memory map; others fit it, too."""
    return types.Array(kind, dimensions, "C", readonly=True)


def filled(kind: Any) -> Any:
    """Return the type of an array of two dimensions that is written."""
    return types.Array(kind, 2, "C")
