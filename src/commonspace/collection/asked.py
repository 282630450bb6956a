"""What a build of the index is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors
from commonspace.search.query import compose, parts_of

if TYPE_CHECKING:
    from commonspace.space import Space

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What a build is asked for, checked; the arguments of `build_index`, None for what was left out.

    Parameters
    ----------
    modality : str or None
        The one to build; None for all.
    code : str, mapping, Code or None
        The short form.
    cells, degree : int or None
        Groups of similar vectors, links of a vector.
    queries : (m, dim) float32 or None
        Typical queries.
    workload : mapping of str to int, or None
        Filter -> how often it was asked.
    rebuild : bool
        Whether to build everything anew.
    random_state : int
        Seed.
    tuned : mapping or None
        What searches use from then on, as `Tuned.to_dict` gives it; None to keep what they use.
    """

    modality: str | None = None
    code: Any = None
    cells: int | None = None
    degree: int | None = None
    queries: Floats | None = None
    workload: Mapping[str, int] | None = None
    rebuild: bool = False
    random_state: int = 0
    tuned: Mapping[str, Any] | None = None


def learnable(queries: Any, space: Space) -> Floats:
    """Return queries as vectors of a space, checked.

    Raises
    ------
    BadInput, SpaceMismatch
        No list of queries, an empty one, or one with a query that cannot be read; vectors of another dimension.
    """
    if isinstance(queries, str | Mapping) or not isinstance(queries, Iterable):
        raise BadInput("queries must be a list of queries, or an array of vectors (m, dim), not a single one")
    queries = queries if isinstance(queries, Sequence | np.ndarray) else list(queries)
    if not _numeric(queries):
        parts = [parts_of(q, space.modalities) for q in queries]
        queries = compose(parts, lambda items, m: space.encode(items, m, cache=False), space.dim)
    found: Floats = check_vectors(queries, name="queries", dim=space.dim, allow_zero=False)
    if not len(found):
        raise BadInput("queries must hold at least one vector")
    return found


def _numeric(queries: Any) -> bool:
    """Return whether queries are numbers throughout: vectors, and not items."""
    try:
        return np.asarray(queries).dtype.kind in "fiub"
    except (ValueError, RuntimeError):  # of several lengths; a torch tensor that requires grad
        return False
