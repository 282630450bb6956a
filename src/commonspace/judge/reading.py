"""Read what a check-up looks at from a file of vectors, without loading it whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.judge.subject import Subject


def read_matrix(path: str | os.PathLike[str], *, name: str = "vectors") -> Subject:
    """Return the subject of a `.npy` file: one modality, of which nothing but the rows is known.

    The file is mapped, not loaded, and nothing in it is ever executed.

    Raises
    ------
    NotFound
        There is no such file.
    BadInput
        It is not a matrix of numbers in NumPy's format, or has no rows.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):  # NumPy's own words would advise to load it unsafely
        raise BadInput(
            f"{file} is no matrix of numbers in NumPy's format, or is cut off: write it with numpy.save(path, array)"
        ) from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise BadInput(f"{file} is an archive of several arrays: save the one to check with numpy.save")
    return Subject({name: found}, about={"matrix": file.name, "stored as": str(found.dtype)})
