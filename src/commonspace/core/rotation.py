"""The orthogonal map that agrees best with a table of cross products, for every room that turns one space to another.

    R = argmax tr R' C  =  U V',   U S V' = SVD of C = X'Y (d_x, d_y)

Directions that C does not touch have no best image. There R is the orthogonal map nearest to the identity, which a
minute multiple of the identity added to C brings about.

Source: Schönemann, "A generalized solution of the orthogonal procrustes problem", 1966.
"""

from __future__ import annotations

import numpy as np

_NUDGE = 1e-9  # of the size of C: above rounding, below anything that rows in float32 can say


def rotation_between(cross: np.ndarray) -> np.ndarray:
    """Return the map with orthonormal rows or columns, whichever are fewer, that has the largest product with `cross`.

    Parameters
    ----------
    cross : (d_x, d_y) float64
        X'Y of paired rows, not all zero.

    Returns
    -------
    (d_x, d_y) float64
    """
    U, _, Vt = np.linalg.svd(cross + _NUDGE * np.linalg.norm(cross) * np.eye(*cross.shape), full_matrices=False)
    rotation: np.ndarray = U @ Vt
    return rotation
