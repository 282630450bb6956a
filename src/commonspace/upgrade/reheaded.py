"""A space with other heads: what training on, a merge or a mean of heads gave becomes a space again.

    more = continue_training(space, X, ...)                      space.with_heads(more, items=typical)
    merged = merge(space, {"a": a, "b": b}, ...)                 space.with_heads(merged.model, items=typical)
    between(space.heads, more.result.heads, 0.3)                 space.with_heads(heads, items=typical)

    net.save_pretrained(folder)                                  a merged encoder, as its library writes it
    space.with_heads(space, encoders={"text": {"name": "sentence-transformers", "model": folder}}, items=typical)

Encoders are those of the space, unless others are given. Heads were trained on what the old ones give, and so only an
encoder that descends from the old one goes before them: a merge, a mean, a light tuning. Measure the space that comes
out (`evaluate`), and train its heads on (`continue_training`) where it lost.

Typical queries (`Space.bank`, which correct for hubs) cannot be carried over, since they are vectors by the old heads
and not what these were made of; they are made anew from items that you give. Figures of the card are those of the old
heads, and so they go, with all that was said of prefixes and of an earlier space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from commonspace.align.forward import NumpyHead, heads_of
from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.protocols import Encoder
from commonspace.core.random import RandomState, generator
from commonspace.encode.cache import Cache
from commonspace.encode.joint import build_encoders, cache_of, encode_joint
from commonspace.search.csls import sample_bank

# Of the training: for the citations of the card, and for which class has which number.
RESTS_ON = ("head", "objective", "sampler", "classes")


class Reheaded:
    """What makes another space of one and other heads."""

    def with_heads(
        self,
        heads: Any,
        *,
        encoders: Mapping[str, Any] | None = None,
        items: Mapping[str, Sequence[Any]] | None = None,
        on_error: str = "raise",
        cache: Cache | bool | None = True,
        random_state: RandomState = 0,
    ) -> Self:
        """Return a new space with other heads, or other encoders before them; this one stays as it is.

        Parameters
        ----------
        heads : mapping of str to NumpyHead, or anything with such `heads`
            One for every modality: of `continue_training`, `merge` or `fit_heads` on what these encoders give. The
            space itself stands for the heads it has.
        encoders : mapping of str to encoder, name, mapping or list of these, optional
            Modality -> what encodes it instead, fitted if it learns; the others stay. It must descend from the encoder
            whose place it takes, which cannot be checked.
        items : mapping of str to sequence
            Modality -> typical items, some hundred or more, as they would be searched with; for every modality whose
            head or encoder is another than before.
        on_error : "raise" or "skip"
            What to do about items that cannot be read.
        cache : Cache or bool
            As in `encode`.
        random_state : int, Generator or None
            Which of many items are kept.

        Raises
        ------
        NotFitted
            A space without heads.
        BadInput
            No heads, heads of other modalities, no typical items of a modality, encoders of other kinds of items.
        SpaceMismatch
            Heads that take other encoder outputs, or of several dimensions; encoders of another dimension.
        """
        old: Any = self
        _check_mappings(encoders, items)
        mine, given = old.heads, heads_of(heads)
        _check(mine, given)
        typical, rng = dict(items or {}), generator(random_state)
        others = _built(old, encoders or {})
        for m in typical:
            old.check_modality(m)
        banks = {}
        for m in mine:
            if m in typical:
                if m not in others:
                    old._check_same_encoders(m)
                encoded = encode_joint(
                    others.get(m, old.encoders[m]), list(typical[m]), modality=m, cache=cache_of(cache),
                    on_error=on_error,
                )  # fmt: skip
                if m in others and encoded.vectors.shape[1] != given[m].d_in:
                    raise SpaceMismatch(
                        f"the encoder for {m!r} gives {encoded.vectors.shape[1]} numbers, but its head takes "
                        f"{given[m].d_in}: fit a new space with it"
                    )
                banks[m] = sample_bank(given[m](encoded.vectors), rng)
            elif m not in others and _alike(mine[m], given[m]):
                banks[m] = old._banks[m]
            if not len(banks.get(m, ())):
                raise BadInput(
                    f"the {'encoder' if m in others else 'head'} of {m!r} is another: pass some hundred typical items, "
                    f"items={{{m!r}: [...]}}, of which typical queries are made"
                )
        kind: Any = type(self)
        new = kind({**old.encoders, **others}, dim=next(iter(given.values())).dim)
        new._heads, new._banks = {m: given[m] for m in mine}, banks
        new._fingerprints = {**old._fingerprints, **{m: [e.fingerprint for e in es] for m, es in others.items()}}
        new._unchecked = set(old._unchecked) - set(others)
        training = old._card.get("training", {})
        new._card = {
            "heads_from": old.id,
            **({"encoders_for": list(others)} if others else {}),
            "training": {name: training[name] for name in RESTS_ON if name in training},
        }
        found: Self = new
        return found


def _built(space: Any, encoders: Mapping[str, Any]) -> dict[str, list[Encoder]]:
    """Return encoders made from what was given, for modalities of a space and the kinds of items that these take."""
    found = {}
    for m, spec in encoders.items():
        space.check_modality(m)
        found[m] = build_encoders(m, spec)
        if (kind := found[m][0].kind) != space.kind_of(m):
            raise BadInput(f"the encoder given for {m!r} takes {kind}, but the items of {m!r} are {space.kind_of(m)}")
    return found


def _check_mappings(encoders: Any, items: Any) -> None:
    """Raise `BadInput` unless what is given by modality is, and items are several and not the letters of one text."""
    for name, given in (("encoders", encoders), ("items", items)):
        if given is not None and not isinstance(given, Mapping):
            raise BadInput(
                f"{name} must map a modality to its {name}, {{'text': ...}}, not be a {type(given).__name__}"
            )
    for m, some in (items or {}).items():
        if isinstance(some, str | bytes):
            raise BadInput(f"the typical items of {m!r} must be a list of some hundred, not one {type(some).__name__}")


def _check(mine: Mapping[str, NumpyHead], given: Mapping[str, NumpyHead]) -> None:
    if set(given) != set(mine):
        raise BadInput(
            f"heads are needed for {', '.join(mine)}, given are those for {', '.join(given) or 'nothing'}: add those "
            "that stay, {**space.heads, **heads}, and leave out others"
        )
    for m, head in given.items():
        if head.d_in != mine[m].d_in:
            raise SpaceMismatch(
                f"the head for {m!r} takes {head.d_in} numbers, but the encoders of this space give {mine[m].d_in}: "
                "train it on what they give"
            )
    if len(dims := {h.dim for h in given.values()}) > 1:
        raise SpaceMismatch(f"heads of one space have one dimension, not {sorted(dims)}: give those of one training")


def _alike(a: NumpyHead, b: NumpyHead) -> bool:
    return digest([a.config(), a.arrays()]) == digest([b.config(), b.arrays()])
