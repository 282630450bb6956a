"""Several encoders of one modality, side by side: ``["minilm", "ngrams"]``.

Encoders that see different things (meaning and spelling, edges and ink) complement one another; their outputs are
concatenated, and the head that follows gives every block the same weight at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.bags import Bags
from commonspace.core.blocks import Block
from commonspace.core.errors import BadInput, BadItems, SpaceMismatch
from commonspace.core.protocols import Encoder
from commonspace.core.registry import build, name_of
from commonspace.encode.cache import Cache
from commonspace.encode.columns import Rows, given
from commonspace.encode.pipeline import Encoded, encode_items


@dataclass(frozen=True)
class Joint(Encoded):
    """What became of a list of items, one vector each.

    Parameters
    ----------
    vectors : (m, d) float32
        One row for each item kept.
    kept, skipped, cached
        As in `Encoded`.
    blocks : tuple of Block
        The encoders whose outputs lie side by side in a row.
    """

    vectors: np.ndarray
    blocks: tuple[Block, ...] = ()


def cache_of(cache: Cache | bool | None) -> Cache | None:
    """Return the cache meant by an argument: True is the user's cache folder, False or None is no cache."""
    if isinstance(cache, bool):
        return Cache() if cache else None
    return cache


def build_encoders(modality: str, spec: Any) -> list[Encoder]:
    """Return the encoders of a modality from a name, a mapping, an instance or a list of these."""
    specs = list(spec) if isinstance(spec, list | tuple) else [spec]
    if not specs:
        raise BadInput(f"modality {modality!r} needs at least one encoder")
    encoders = [build("Encoder", s) for s in specs]
    for encoder in encoders:
        if not isinstance(encoder, Encoder):
            raise BadInput(
                f"the encoder of {modality!r} must be a name, a mapping with a name, or an Encoder, not {encoder!r}"
            )
    kinds = {e.kind for e in encoders}
    if len(kinds) > 1:
        raise BadInput(f"the encoders of {modality!r} take different kinds of items: {', '.join(sorted(kinds))}")
    return encoders


def fit_encoders(encoders: Sequence[Encoder], rows: Rows, *, modality: str, on_error: str = "raise") -> None:
    """Fit those encoders that learn from data; with ``on_error="skip"`` unreadable items are left out."""
    where = given(rows.items[modality])
    known = [rows.items[modality][i] for i in where]
    for encoder in encoders:
        if not encoder.needs_fit:
            continue
        if not known:
            raise BadInput(f"no row has a {modality!r} item, so {name_of(encoder)!r} has nothing to learn from")
        try:
            encoder.fit(known)
        except BadItems as e:
            if on_error != "skip":
                raise BadItems({int(rows.positions[where[i]]): r for i, r in e.rows.items()}, what=e.what) from None
            encoder.fit([item for i, item in enumerate(known) if i not in e.rows])


def check_same_encoders(encoders: Sequence[Encoder], fingerprints: Sequence[str], modality: str) -> None:
    """Raise `SpaceMismatch` unless these are the encoders whose fingerprints a space has kept."""
    for encoder, known in zip(encoders, fingerprints, strict=True):
        if encoder.fingerprint != known:
            raise SpaceMismatch(
                f"the {modality} encoder {name_of(encoder)!r} here is not the one this space was built with "
                f"(fingerprint {encoder.fingerprint[:12]}, needed {known[:12]}): install the same weights, or "
                "fit a new space"
            )


def encode_joint(
    encoders: Sequence[Encoder],
    items: Sequence[Any],
    *,
    modality: str,
    cache: Cache | None = None,
    on_error: str = "raise",
) -> Joint:
    """Encode with every encoder and lay the outputs side by side; an item that one cannot read is left out."""
    parts = []
    for encoder in encoders:
        title = f"Encoding {len(items):,} {modality} items with {name_of(encoder)}"
        parts.append(encode_items(encoder, items, cache=cache, on_error=on_error, title=title))
    skipped: dict[int, str] = {}
    for part in parts:
        skipped |= part.skipped
    kept = np.array([i for i in range(len(items)) if i not in skipped], dtype=np.int64)
    blocks = [_one_each(p)[np.isin(p.kept, kept)] for p in parts]
    cached = min(p.cached for p in parts)
    widths = tuple(Block(b.shape[1], e.scaling) for b, e in zip(blocks, encoders, strict=True))
    return Joint(np.concatenate(blocks, axis=1), kept, skipped, cached, widths)


def _one_each(part: Encoded) -> np.ndarray:
    """Return one vector an item: heads take one, so bags are averaged."""
    return part.vectors.mean() if isinstance(part.vectors, Bags) else part.vectors


def encode_rows(
    encoders: Mapping[str, Sequence[Encoder]], rows: Rows, *, cache: Cache | None = None, on_error: str = "raise"
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, list[Block]], dict[str, dict[int, str]]]:
    """Encode every modality of n rows.

    Returns
    -------
    dict of str to (n, d) float32
        Encoder outputs; zeros where the modality is missing.
    dict of str to (n,) bool
        Which rows have the modality.
    dict of str to list of Block
        Which encoder filled which columns.
    dict of str to (dict of int to str)
        Unreadable items: position in the user's table -> reason.
    """
    X, present, blocks, skipped = {}, {}, {}, {}
    for m, column in rows.items.items():
        where = given(column)
        items = [column[i] for i in where]
        try:
            encoded = encode_joint(encoders[m], items, modality=m, cache=cache, on_error=on_error)
        except BadItems as e:  # say where the items stand in the user's table
            raise BadItems({int(rows.positions[where[i]]): r for i, r in e.rows.items()}, what=e.what) from None
        blocks[m] = list(encoded.blocks)
        kept = where[encoded.kept]
        X[m] = np.zeros((len(column), encoded.vectors.shape[1]), np.float32)
        X[m][kept] = encoded.vectors
        present[m] = np.isin(np.arange(len(column)), kept)
        skipped[m] = {int(rows.positions[where[i]]): reason for i, reason in encoded.skipped.items()}
    return X, present, blocks, skipped
