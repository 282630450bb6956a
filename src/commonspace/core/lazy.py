"""Packages that hand on names whose modules are imported on first use.

    _LAZY = {"Space": "space"}
    __all__ = ["Space"]
    __getattr__, __dir__ = lazy(__name__, _LAZY, __all__)

A package that hands on a hundred names so costs no more to import than one that hands on none, and does not need what
only some of them need. Type checkers read the names from imports under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy(
    package: str, modules: Mapping[str, str], names: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Parameters
    ----------
    package : str
        Its name.
    modules : mapping of str to str
        Name -> the module that has it, as seen from the package.
    names : sequence of str
        All that the package hands on, as it stands in its `__all__`.
    """

    def getattr_(name: str) -> Any:
        if name in modules:
            return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return sorted(names)

    return getattr_, dir_
