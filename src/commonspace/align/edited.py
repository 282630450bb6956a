"""Edits that a fit asks for by modality: from the argument to edited items, and from these to negatives.

    edits="text"                                          texts, every kind of edit
    edits={"text": "number"}                              one kind, or a list of kinds
    edits={"text": {"kinds": ["word"], "slots": ...}}     whatever `edit_texts` takes, and `draws`
    edits={"product": ["colour", "size"]}                 records: the fields that may be changed

Texts are edited by `edit_texts`, records (mappings of field to value) by `edit_records`; nothing else can be. What an
item brings into a batch is by default all of its edits, which is how the claim of edits was measured.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.align.edits import Edits, edit_records, edit_texts
from commonspace.align.negatives import Negatives
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Encoder
from commonspace.core.vectors import check_positive
from commonspace.encode.cache import Cache
from commonspace.encode.columns import Rows
from commonspace.encode.joint import encode_joint

DRAWS = 4


@dataclass(frozen=True)
class Edited:
    """Edited items of one modality.

    Parameters
    ----------
    edits : Edits
        Positions are those of the rows they were made from.
    draws : int
        How many of them an item brings into a batch.
    """

    edits: Edits
    draws: int

    def negatives(self, encoders: Sequence[Encoder], modality: str, cache: Cache | None) -> Negatives:
        """Encode them with the encoders of the modality; what those cannot encode is left out."""
        made = encode_joint(encoders, self.edits.items, modality=modality, cache=cache, on_error="skip")
        return Negatives(made.vectors, self.edits.source[made.kept], self.edits.owner[made.kept], self.draws)

    def placed(self, positions: np.ndarray) -> Edits:
        """Return the edits with the positions that their rows have in the user's table."""
        source, owner = self.edits.source, self.edits.owner
        return replace(self.edits, source=positions[source], owner=np.where(owner >= 0, positions[owner], -1))


def edited_rows(
    asked: str | Sequence[str] | Mapping[str, Any] | None,
    rows: Rows,
    encoders: Mapping[str, Sequence[Encoder]],
    rng: np.random.Generator,
) -> dict[str, Edited]:
    """Return modality -> its edited items.

    Parameters
    ----------
    asked : str, sequence of str, mapping or None
        As above; None edits nothing.
    rows : Rows of n
        Rows to be trained on; rows of one label show the same thing, and none is edited into another.
    encoders : mapping of str to sequence of Encoder
        Their kind says what the items of a modality are.
    rng : numpy Generator
        Which edits are made.

    Raises
    ------
    BadInput
        A modality that is not there or whose items cannot be edited, unknown options, no edit at all.
    """
    return {m: _edited(m, options, rows, encoders, rng) for m, options in _asked(asked).items()}


def _asked(asked: Any) -> dict[str, Any]:
    if asked is None:
        return {}
    if isinstance(asked, Mapping):
        return dict(asked)
    names = [asked] if isinstance(asked, str) else list(asked)
    if not all(isinstance(name, str) for name in names):
        raise BadInput(f'edits must name modalities, as in "text" or {{"text": ["word"]}}, not {asked!r}')
    return dict.fromkeys(names)


def _edited(
    m: str, given: Any, rows: Rows, encoders: Mapping[str, Sequence[Encoder]], rng: np.random.Generator
) -> Edited:
    if m not in encoders:
        raise BadInput(f"edits names the unknown modality {m!r}; there is {', '.join(encoders)}")
    column, kind = rows.items[m], encoders[m][0].kind
    make: Any
    if kind == "text":
        # What is no text is reported where it is encoded.
        items: list[Any] = [item if isinstance(item, str) else "" for item in column]
        make, plain, hint = edit_texts, "kinds", "lower least, or name words that exclude each other by slots"
    elif kind not in ("image", "vector") and all(item is None or isinstance(item, Mapping) for item in column):
        items = [item or {} for item in column]
        make, plain, hint = edit_records, "fields", "name fields that have several values"
    else:
        raise BadInput(f"edits names {m!r}, whose items are of the kind {kind!r}: only texts and records can be edited")
    options = _options(m, given, plain, make)
    draws = check_positive(f"draws of edits[{m!r}]", options.pop("draws", DRAWS))
    edits = make(items, groups=rows.labels, random_state=rng, **options)
    if not len(edits):
        raise BadInput(f"none of the {len(items):,} {m} items could be edited: {hint}, or leave edits out")
    return Edited(edits, draws)


def _options(m: str, given: Any, plain: str, make: Any) -> dict[str, Any]:
    """Return the options of one modality, by name."""
    if given is None or given is True:
        return {}
    if isinstance(given, str):
        return {plain: [given]}
    if isinstance(given, list | tuple | set | frozenset):
        return {plain: list(given)}
    if not isinstance(given, Mapping):
        raise BadInput(f"edits[{m!r}] must be {plain}, a mapping of options or None, not {given!r}")
    known = [*(set(inspect.signature(make).parameters) - {"texts", "records", "groups", "random_state"}), "draws"]
    if unknown := sorted(set(given) - set(known)):
        raise BadInput(f"edits[{m!r}] has the unknown option {unknown[0]!r}; there is {', '.join(sorted(known))}")
    return dict(given)
