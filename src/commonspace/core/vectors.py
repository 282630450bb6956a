"""Checks and small operations on plain vector arrays that every room needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, SpaceMismatch


def check_vectors(X: Any, *, name: str = "X", dim: int | None = None, allow_zero: bool = True) -> np.ndarray:
    """Return X as a (n, d) float32 array, or say which row is wrong.

    A contiguous float32 array comes back as it is, not as a copy.

    Parameters
    ----------
    X : array-like (n, d)
        The vectors.
    name : str
        What to call them in a message.
    dim : int, optional
        Dimension they must have.
    allow_zero : bool
        Whether rows of length zero are fine; they have no direction, hence no cosine.

    Raises
    ------
    SpaceMismatch
        Wrong dimension.
    BadInput
        Not a numeric two-dimensional array; NaN, Inf or (on request) zero rows, named by position.
    """
    try:
        raw = np.asarray(X)
        if raw.dtype.kind not in "fiub":
            raise TypeError(f"dtype {raw.dtype}")
        with np.errstate(over="ignore"):
            a = np.ascontiguousarray(raw, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as e:  # RuntimeError: a torch tensor that requires grad
        raise BadInput(f"{name} must be a numeric array of shape (n, dim): {e}") from None
    if a.ndim != 2:
        raise BadInput(f"{name} must have shape (n, dim), not {a.shape}; one vector v is v[None, :]")
    if dim is not None and a.shape[1] != dim:
        raise SpaceMismatch(
            f"{name} has dimension {a.shape[1]} but {dim} is needed: the vectors come from another encoder or space"
        )
    bad = ~np.isfinite(a).all(axis=1)
    if bad.any():
        raise BadInput(
            f"{name} holds NaN or Inf in {int(bad.sum())} of {len(a)} rows, first at row {int(bad.argmax())}: "
            "remove these rows or mend the encoder that made them (numbers beyond 3.4e38 count as Inf in float32)"
        )
    if not allow_zero and len(a):
        zero = ~a.any(axis=1)
        if zero.any():
            raise BadInput(
                f"{name} holds {int(zero.sum())} zero vectors, first at row {int(zero.argmax())}: "
                "a zero vector has no direction and cannot be compared by cosine; remove these rows"
            )
    return a


def check_codes(codes: Any, width: int) -> np.ndarray:
    """Return codes as an (n, width) uint8 array, or say that they are not what this code made.

    Raises
    ------
    BadInput
        Another dtype or shape: codes of another method, or of the same one with other parameters.
    """
    a = np.asarray(codes)
    if a.dtype != np.uint8 or a.ndim != 2 or a.shape[1] != width:
        raise BadInput(
            f"codes must be a uint8 array of shape (n, {width}), not {a.dtype} {a.shape}: "
            "give the array that encode() of this very code returned; one code c is c[None, :]"
        )
    return a


def unit(X: np.ndarray) -> np.ndarray:
    """Return the rows scaled to length one; zero rows stay zero.

    The length is taken in float64 after dividing by the largest entry, so that tiny and huge rows keep their
    direction instead of under- or overflowing.
    """
    X = np.asarray(X)
    out = X.dtype if X.dtype in (np.float32, np.float64) else np.float32
    peak = np.abs(X).max(axis=-1, keepdims=True, initial=0).astype(np.float64)
    scaled = X / np.where(peak > 0, peak, 1)
    length = np.linalg.norm(scaled, axis=-1, keepdims=True)
    return (scaled / np.where(length > 0, length, 1)).astype(out)


def distinct_rows(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the position of the first row of each different (vector, label), in order.

    A gallery that holds the same vector of the same thing twice would count one find as two.
    """
    exact = np.ascontiguousarray(X, dtype=np.float32).view(np.uint32)
    keys = np.column_stack([exact, np.unique(labels, return_inverse=True)[1].astype(np.uint32)])
    _, first = np.unique(keys, axis=0, return_index=True)
    return np.sort(first)


def check_positive(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1, or raise `BadInput` naming it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise BadInput(f"{name} must be a whole number of at least 1, not {value!r}")
    return int(value)


def check_number(name: str, value: Any, *, below: float = np.inf) -> float:
    """Return a number from 0 to below a bound; `BadInput` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < below:
        raise BadInput(f"{name} must be a number from 0 to below {below}, not {value!r}")
    return float(value)


def check_share(name: str, value: Any) -> float:
    """Return `value` as a float between 0 and 1, both excluded, or raise `BadInput` naming it."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < 1:
        raise BadInput(f"{name} must lie between 0 and 1, both excluded, not {value!r}")
    return float(value)
