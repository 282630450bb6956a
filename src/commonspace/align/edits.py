"""Hard negatives by edit: a text or a record with one thing changed, so that it no longer says what it said.

    word        a word becomes another of the same slot: "left arrow" -> "right arrow"
    order       two words of one slot change places: "red square, blue disc" -> "blue square, red disc"
    number      a number becomes a near one: "3 people" -> "4 people"
    negation    "is open" -> "is not open", and back (English)
    field       of a record, one field gets a value that it has in another record

What belongs to a slot is read off the texts themselves, whatever their language: two words are of one slot if texts
differ in nothing but them. Of all the surroundings c that both were seen in, with w_c words that fill each,

    strength(a, b) = sum over c of 1 / (w_c - 1)

so that a place that only these two fill counts one, and a place that anything fills next to nothing. Words of one slot
are exchanged the more often, the stronger they are bound. An edit that says what its own item says, or another item of
its group, is no negative and is left out. One that says what an item elsewhere says is kept, and `owner` names that
item: to its own pictures it is right.

Source: "Enhancing Multimodal Compositional Reasoning of Visual Language Models with Generative Negative Mining". There
models of language and pictures write the edits; here they come from the data alone, and so only where it has slots.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from commonspace.align.words import word_pattern
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive

KINDS = ("word", "order", "number", "negation")
# Words after which an English sentence takes "not".
_BE = ["is", "are", "was", "were", "be", "been", "am"]
_OTHERS = ["do", "does", "did", "can", "could", "will", "would", "shall", "should", "may", "might", "must"]
_BEFORE_NOT = frozenset([*_BE, *_OTHERS])
# What joins two things whose order says nothing.
_LISTS = frozenset(["and", "or", "&", ",", "/", "+", ";"])


@dataclass(frozen=True)
class Edits:
    """Edited items and where they come from.

    Parameters
    ----------
    items : list of m
        Texts or records, as those they were made from.
    source : (m,) int64
        Position of the item that was edited; ascending.
    owner : (m,) int64
        Position of an item of another group that says the same; -1 if none does.
    kind : list of m str
        Which kind of edit.
    was, now : list of m str
        What was changed, and into what.
    """

    items: list[Any]
    source: np.ndarray
    owner: np.ndarray
    kind: list[str]
    was: list[str]
    now: list[str]

    def __len__(self) -> int:
        return len(self.items)

    def table(self) -> list[dict[str, Any]]:
        """Return one row an edit, for a person to check."""
        rows = zip(self.source.tolist(), self.owner.tolist(), self.kind, self.was, self.now, self.items, strict=True)
        return [dict(zip(("source", "owner", "kind", "was", "now", "item"), row, strict=True)) for row in rows]


@dataclass(frozen=True)
class _Edit:
    item: Any
    kind: str
    was: str
    now: str
    weight: float = 1.0


def edit_texts(
    texts: Sequence[str],
    *,
    groups: Any = None,
    kinds: Collection[str] = KINDS,
    per_item: int = 4,
    least: float = 1.0,
    slots: Mapping[str, Collection[str]] | None = None,
    random_state: RandomState = 0,
) -> Edits:
    """Return texts with one thing changed.

    Parameters
    ----------
    texts : sequence of n str
        The texts of the items; an empty one is not edited. Words are what stands between spaces and punctuation.
    groups : (n,) int, optional
        Equal number = the same thing; default is that every item is only its own.
    kinds : collection of {"word", "order", "number", "negation"}
        Which edits to make.
    per_item : int
        The most edits an item gets, drawn from all that are possible.
    least : float
        The strength from which on two words are of one slot. Lower it for few texts; chance then has more of a say.
    slots : mapping of str to collection of str, optional
        Further slots by name, such as ``{"colour": ["red", "blue"]}``; one word each.
    random_state : int, Generator or None
        Seed.

    Raises
    ------
    BadInput
        An unknown kind, something that is no text, groups of another length.
    """
    if isinstance(kinds, str):
        raise BadInput(f"kinds must be a collection of kinds, as in [{kinds!r}]")
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise BadInput(f"there is no edit of the kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise BadInput(f"text {i} is a {type(text).__name__}: give an empty text where there is none")
    if not least > 0:
        raise BadInput(f"least must be positive, not {least!r}")
    spans = [[(m.group(), m.start(), m.end()) for m in _token().finditer(text)] for text in texts]
    alike = slots_of([[word for word, _, _ in own] for own in spans], least=least)
    for name, words in (slots or {}).items():
        if isinstance(words, str) or not all(isinstance(w, str) for w in words):
            raise BadInput(f"slots[{name!r}] must be a collection of words")
        for word in words:
            own = alike.setdefault(word.casefold(), {})
            own.update({w: max(own.values(), default=1.0) for w in words if w.casefold() != word.casefold()})

    def every(i: int) -> Iterator[_Edit]:
        for kind in KINDS:
            if kind in kinds:
                yield from _MAKERS[kind](texts[i], spans[i], alike)

    return _collected(len(texts), every, [_said(t) for t in texts], _said, groups, per_item, random_state)


def edit_records(
    records: Sequence[Mapping[str, Any]],
    *,
    groups: Any = None,
    fields: Collection[str] | None = None,
    per_item: int = 4,
    random_state: RandomState = 0,
) -> Edits:
    """Return records with one field changed to a value that it has in another record.

    Parameters
    ----------
    records : sequence of n mappings
        Field -> value; None, NaN and "" are no value, and stay.
    groups : (n,) int, optional
        Equal number = the same thing; default is that every item is only its own.
    fields : collection of str, optional
        Fields that may be changed; default is all. Leave out what names the item without describing it.
    per_item : int
        The most edits an item gets, no two of them of the same field and value.
    random_state : int, Generator or None
        Seed.

    Raises
    ------
    BadInput
        A field that no record has, groups of another length.
    """
    if isinstance(fields, str):
        raise BadInput(f"fields must be a collection of fields, as in [{fields!r}]")
    values: dict[str, dict[str, Any]] = defaultdict(dict)  # field -> what it says -> a value that says it
    for record in records:
        for field, value in record.items():
            if _filled(value):
                values[field].setdefault(_said(str(value)), value)
    missing = sorted(set(fields or ()) - {field for record in records for field in record})
    if missing:
        raise BadInput(f"no record has the field {missing[0]!r}; the fields are {', '.join(sorted(values))}")
    rng = generator(random_state)

    def every(i: int) -> Iterator[_Edit]:
        record = records[i]
        for field, value in record.items():
            if not _filled(value) or (fields is not None and field not in fields):
                continue
            others = [said for said in values[field] if said != _said(str(value))]
            # A column of names has as many values as records: a few of them will do.
            for k in rng.permutation(len(others))[:per_item]:
                now = values[field][others[k]]
                yield _Edit({**record, field: now}, "field", f"{field}: {value}", f"{field}: {now}")

    return _collected(len(records), every, [_said_by(r) for r in records], _said_by, groups, per_item, rng)


def slots_of(sentences: Iterable[Sequence[str]], *, least: float = 1.0) -> dict[str, dict[str, float]]:
    """Return word (case folded) -> the words that stand in its place elsewhere -> how strongly they share its slot.

    Parameters
    ----------
    sentences : iterable of sequences of str
        Texts cut into words.
    least : float
        The least strength. What surrounds a word is the whole rest of its text, and never empty.
    """
    fillers: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)
    for words in sentences:
        folded = tuple(w.casefold() for w in words)
        for p, word in enumerate(folded):
            if len(folded) > 1 and word[0].isalpha():
                fillers[folded[:p], folded[p + 1 :]].setdefault(word, words[p])
    strength: dict[tuple[str, str], float] = defaultdict(float)
    spelt: dict[str, str] = {}
    for found in fillers.values():
        if 1 < len(found) <= _MOST_FILLERS:
            for a, b in combinations(sorted(found), 2):
                strength[a, b] += 1 / (len(found) - 1)
            for word, spelling in found.items():
                spelt.setdefault(word, spelling)
    alike: dict[str, dict[str, float]] = {}
    for (a, b), share in sorted(strength.items()):
        if share >= least:
            alike.setdefault(a, {})[spelt[b]] = share
            alike.setdefault(b, {})[spelt[a]] = share
    return alike


# A place that many words fill says little of each two of them, and costs the square of their number.
_MOST_FILLERS = 40
_Slots = Mapping[str, Mapping[str, float]]
_Span = tuple[str, int, int]


def _words(text: str, spans: list[_Span], alike: _Slots) -> Iterator[_Edit]:
    for word, start, end in spans:
        near = alike.get(word.casefold(), {})
        for other in sorted(near):
            now = _cased(other, word)
            yield _Edit(text[:start] + now + text[end:], "word", word, now, near[other] / max(near.values()))


def _orders(text: str, spans: list[_Span], alike: _Slots) -> Iterator[_Edit]:
    for i, (first, start, end) in enumerate(spans):
        near = {w.casefold() for w in alike.get(first.casefold(), {})}
        for j in range(i + 1, len(spans)):
            second, begin, stop = spans[j]
            between = {w.casefold() for w, _, _ in spans[i + 1 : j]}
            if second.casefold() in near and between - _LISTS:  # in a mere list the order says nothing
                changed = text[:start] + _cased(second, first) + text[end:begin] + _cased(first, second) + text[stop:]
                yield _Edit(changed, "order", f"{first} ... {second}", f"{second} ... {first}")


def _numbers(text: str, spans: list[_Span], alike: _Slots) -> Iterator[_Edit]:
    for word, start, end in spans:
        if word.isascii() and word.isdigit():
            for other in (int(word) - 1, int(word) + 1):
                if other >= 0:
                    now = str(other).zfill(len(word)) if word[0] == "0" else str(other)
                    yield _Edit(text[:start] + now + text[end:], "number", word, now)


def _negations(text: str, spans: list[_Span], alike: _Slots) -> Iterator[_Edit]:
    folded = [word.casefold() for word, _, _ in spans]
    for p, (word, _, end) in enumerate(spans):
        if folded[p] == "not" and p and folded[p - 1] in _BEFORE_NOT:
            yield _Edit(text[: spans[p - 1][2]] + text[end:], "negation", f"{spans[p - 1][0]} not", spans[p - 1][0])
        elif folded[p] in _BEFORE_NOT and p + 1 < len(folded) and folded[p + 1] != "not" and folded[p + 1][0].isalnum():
            yield _Edit(text[:end] + " not" + text[end:], "negation", word, f"{word} not")


_MAKERS = {"word": _words, "order": _orders, "number": _numbers, "negation": _negations}


def _collected(
    n: int, every: Any, said: list[str], say: Any, groups: Any, per_item: int, random_state: RandomState
) -> Edits:
    """Return some of the edits of every item, without those that say what the item or its group says."""
    check_positive("per_item", per_item)
    keys = np.arange(n) if groups is None else np.asarray(groups)
    if keys.shape != (n,):
        raise BadInput(f"groups must hold one number an item, {n}, not {keys.shape}")
    rng = generator(random_state)
    owners: dict[str, int] = {}
    own: dict[Any, set[str]] = defaultdict(set)
    for i, what in enumerate(said):
        owners.setdefault(what, i)
        own[keys[i].item()].add(what)
    kept: list[tuple[int, int, _Edit]] = []
    for i in range(n):
        if not said[i]:
            continue
        possible = {say(edit.item): edit for edit in every(i)}
        left = [(what, edit) for what, edit in possible.items() if what and what not in own[keys[i].item()]]
        # The smallest of exponential waiting times: draws without replacement, in proportion to the weights.
        waiting = rng.exponential(size=len(left)) / np.array([edit.weight for _, edit in left])
        for k in sorted(np.argsort(waiting, kind="stable")[:per_item].tolist()):
            kept.append((i, owners.get(left[k][0], -1), left[k][1]))
    return Edits(
        items=[e.item for _, _, e in kept],
        source=np.array([i for i, _, _ in kept], np.int64),
        owner=np.array([o for _, o, _ in kept], np.int64),
        kind=[e.kind for _, _, e in kept],
        was=[e.was for _, _, e in kept],
        now=[e.now for _, _, e in kept],
    )


@lru_cache(maxsize=1)
def _token() -> re.Pattern[str]:
    """Return the pattern of a word, which may be hyphenated, or of what stands between words."""
    word = word_pattern()
    return re.compile(rf"{word}(?:[-'’.]{word})*|[^\w\s]+")


def _said(text: str) -> str:
    """Return what two texts must share to say the same: their words in their order, whatever case or punctuation."""
    return " ".join(w.casefold() for w in _token().findall(text) if w[0].isalnum() or not w.isascii())


def _filled(value: Any) -> bool:
    """Return whether a field holds a value; a table spells a missing number NaN."""
    if isinstance(value, float):
        return value == value
    return value is not None and not (isinstance(value, str) and value == "")


def _said_by(record: Mapping[str, Any]) -> str:
    given = {f: _said(str(v)) for f, v in record.items() if _filled(v)}
    return "\n".join(f"{field}\t{given[field]}" for field in sorted(given))


def _cased(word: str, like: str) -> str:
    """Return a word with the capital, or without it, of the one whose place it takes."""
    if like[:1].isupper() and word.islower():
        return word[:1].upper() + word[1:]
    return word.lower() if like.islower() and word.istitle() else word
