"""Means over pairs of different things, and what they are when the things are drawn anew.

With t_gh the sum of some value over the rows of thing g and those of thing h, s_g the rows of g, and c_g how often g
was drawn,

    mean = sum over g != h of c_g c_h t_gh  /  sum over g != h of c_g s_g c_h s_h

Copies of one thing do not meet either, so that a draw is no biased picture of the sample.
"""

from __future__ import annotations

import numpy as np


def pair_means(table: np.ndarray, sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over ordered pairs of different things in each draw: (draws,).

    Parameters
    ----------
    table : (g, g) array
        Sums over the rows of two things; the diagonal is not looked at.
    sizes : (g,) array
        Rows of each thing.
    counts : (draws, g) array
        How often each thing was drawn.
    """
    apart = table - np.diag(np.diag(table))
    totals = ((counts @ apart) * counts).sum(axis=1)
    drawn = counts * sizes
    pairs = drawn.sum(axis=1) ** 2 - (drawn**2).sum(axis=1)
    means: np.ndarray = totals / np.maximum(pairs, 1)
    return means


def summed(rows: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return the sum of the rows (n, d) of each thing, given its number a row: (g, d)."""
    if len(member) == member.max() + 1:
        return rows[np.argsort(member)]
    out = np.zeros((member.max() + 1, rows.shape[1]))
    np.add.at(out, member, rows)
    return out


def summed_pairs(table: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return the sum of a table of all pairs of rows (n, n) over the rows of each two things: (g, g)."""
    return summed(summed(table, member).T, member).T
