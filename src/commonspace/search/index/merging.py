"""Which segments are merged when an index is brought up to date.

Fresh vectors become a segment. One that would stand beside another of less than twice its size takes that one in, so
that n vectors lie in at most about log2(n) segments and each is copied about as often. When more than a third of what
segments hold was deleted or replaced since, everything is built anew.
"""

from __future__ import annotations

from collections.abc import Sequence

_RATIO = 2.0
_DEAD = 1 / 3
#: Fresh vectors that are not worth a segment: comparing them exactly costs less than looking into one.
LEAST = 2048


def to_merge(sizes: Sequence[int], live: Sequence[int], fresh: int, *, least: int | None = None) -> list[int] | None:
    """Return which segments to merge with the fresh vectors; None if nothing is to be done.

    Parameters
    ----------
    sizes : sequence of int
        Vectors of each segment.
    live : sequence of int
        Those that the version still has.
    fresh : int
        Vectors that are in no segment.
    least : int, optional
        Fresh vectors that are worth a segment; `LEAST` by default.
    """
    dead = sum(sizes) - sum(live)
    if sizes and dead > _DEAD * sum(sizes):
        return list(range(len(sizes)))
    empty = [i for i, n in enumerate(live) if n == 0]
    if fresh < (LEAST if least is None else least) and not empty:
        return None
    size, chosen = fresh, empty
    for i in sorted(set(range(len(sizes))) - set(empty), key=lambda i: live[i]):
        if live[i] > _RATIO * size:
            break
        size += live[i]
        chosen.append(i)
    return sorted(chosen)
