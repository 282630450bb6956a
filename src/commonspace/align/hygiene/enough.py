"""How many pairs it takes to say anything about them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from commonspace.align.data import PairData
from commonspace.core.errors import BadInput

LEAST = 50  # pairs below which nothing can be said


def enough_pairs(data: PairData, ways: Iterable[tuple[str, str]], to: str) -> dict[tuple[str, str], np.ndarray]:
    """Return way -> positions of the items that have both modalities, of those ways that have enough.

    Parameters
    ----------
    data : PairData
        Checked data.
    ways : iterable of (str, str)
        Pairs of modalities.
    to : str
        What the pairs are needed to do, for the message.

    Raises
    ------
    BadInput
        If no way has at least 50, of two groups or more.
    """
    shared = {way: data.shared(*way) for way in ways}
    enough = {way: rows for way, rows in shared.items() if enough_rows(data, rows)}
    if not enough:
        most = max(map(len, shared.values()), default=0)
        if most >= LEAST:
            raise BadInput(
                f"all {most} pairs are of one group, so that none can be told from another: number what is the same "
                "thing alike in groups, and different things differently"
            )
        raise BadInput(f"at least {LEAST} pairs are needed to {to}, and there are {most}")
    return enough


def enough_rows(data: PairData, rows: np.ndarray) -> bool:
    """Return whether the pairs at some positions are enough, and not all the same thing."""
    return len(rows) >= LEAST and bool((data.groups[rows] != data.groups[rows[0]]).any())
