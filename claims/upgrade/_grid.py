"""The migrations of `claims/upgrade/migrations.py`: which encoder of which items changes into which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from claims.upgrade import _worlds as w


@dataclass(frozen=True)
class Case:
    """One migration.

    Parameters
    ----------
    data : str
        The items, and what asks for what.
    change : str
        Old and new encoder.
    make : callable
        Seed -> world.
    directions : tuple of str, optional
        What counts, where not all that asks something is meant.
    """

    data: str
    change: str
    make: Callable[[int], w.World]
    directions: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Both in one."""
        return f"{self.data}: {self.change}"


def _text(data: str, old: str, new: str) -> Case:
    asks, searched = {
        "cisi": ("title", "document"), "cranfield": ("title", "document"), "xquad": ("question", "sentence"),
        "wikitables": ("title", "table"),
    }[data]  # fmt: skip
    return Case(f"{data}, {asks} → {searched}", f"{old} → {new}", w.of_texts(data, old, new, asks, searched))


def _questions(old: str, new: str) -> Case:
    return Case("wikitables, question → table", f"{old} → {new}", w.of_questions(old, new))


def _names(old: str, new: str) -> Case:
    return Case("emoji, keywords → name", f"{old} → {new}", w.of_names(old, new))


def _drawings(old: str, new: str) -> Case:
    return Case("emoji, drawing → drawing", f"{old} → {new}", w.of_drawings(old, new))


M6 = "minilm 6 mean"
HOG, PIXELS = {"name": "hog", "cells": [8]}, {"name": "pixels"}
_ICONS, _HEADS = "icons, drawing → drawing", "image ↔ name, heads"
_ACROSS = ("image->text", "text->image")

GRID = (
    _text("cisi", "minilm 4 mean", M6),
    _text("cisi", "minilm 6 first", M6),
    _text("cisi", "ngrams 128", M6),
    _text("cisi", "ngrams 64", "ngrams 256"),
    _text("cisi", M6, "minilm 4 mean"),
    _text("cranfield", "minilm 2 mean", M6),
    _text("cranfield", "minilm 6 max", M6),
    _text("cranfield", "ngrams 256", M6),
    _text("cranfield", "words 128", "ngrams 128"),
    _text("cranfield", "ngrams 256", "ngrams 64"),
    _text("xquad", "minilm 5 mean", M6),
    _text("xquad", "ngrams 64", "ngrams 256"),
    _text("xquad", "ngrams 256", M6),
    _text("xquad", M6, "ngrams 128"),
    _text("wikitables", "minilm 4 mean", M6),
    _text("wikitables", "ngrams 128", "ngrams 384"),
    _questions("ngrams 128", M6),
    _questions("minilm 6 max", M6),
    _names("ngrams 128", M6),
    _names("minilm 3 mean", M6),
    _names("words 128", "ngrams 128"),
    _drawings("colour", "both"),
    _drawings("hog", "both"),
    _drawings("both", "colour"),
    Case(_ICONS, "pixels → gradients", w.of_icons(PIXELS, HOG)),
    Case(_ICONS, "gradients → pixels", w.of_icons(HOG, PIXELS)),
    Case(_ICONS, "64 pixels → 256 pixels", w.of_icons({**PIXELS, "size": 8}, PIXELS)),
    Case(_ICONS, "cells of 16 pixels → cells of 8", w.of_icons({**HOG, "cells": [16]}, HOG)),
    Case(f"icons, {_HEADS}", "another seed", w.of_icon_heads({}, {"run": 1}), _ACROSS),
    Case(f"icons, {_HEADS}", "1000 pairs → 6000", w.of_icon_heads({"pairs": 1000}, {"pairs": 6000}), _ACROSS),
    Case(f"icons, {_HEADS}", "16 numbers → 128", w.of_icon_heads({"dim": 16}, {"dim": 128}), _ACROSS),
    Case(f"icons, {_HEADS}", "n-grams → MiniLM", w.of_icon_heads({}, {"text": "minilm"}), _ACROSS),
    Case(f"emoji, {_HEADS}", "another seed", w.of_emoji_heads({}, {"run": 1})),
    Case(f"emoji, {_HEADS}", "30 % of the pairs → all", w.of_emoji_heads({"share": 0.3}, {})),
    Case(f"emoji, {_HEADS}", "16 numbers → 128", w.of_emoji_heads({"dim": 16}, {"dim": 128})),
    Case(f"emoji, {_HEADS}", "n-grams → MiniLM", w.of_emoji_heads({}, {"text": M6})),
    Case("digits, left ↔ right half, heads", "another seed", w.of_digits({}, {"run": 1})),
    Case("digits, left ↔ right half, heads", "8 numbers → 64", w.of_digits({"dim": 8}, {"dim": 64})),
    Case("digits, left ↔ right half, heads", "150 pairs → 700", w.of_digits({"pairs": 150}, {"pairs": 700})),
)

#: On these, and other seeds, the rule and the methods were developed; they are no part of what is reported.
DEVELOPMENT = (
    _text("cisi", "minilm 5 mean", M6),
    _text("cisi", "words 64", "ngrams 256"),
    _text("cranfield", "minilm 4 mean", M6),
    _text("cranfield", "ngrams 64", "ngrams 384"),
    _text("xquad", "minilm 4 mean", M6),
    _text("wikitables", M6, "minilm 3 mean"),
    _names("ngrams 64", M6),
    _drawings("hog", "colour"),
    Case(_ICONS, "64 pixels → gradients", w.of_icons({**PIXELS, "size": 8}, HOG)),
    Case(f"icons, {_HEADS}", "32 numbers → 64", w.of_icon_heads({"dim": 32}, {"dim": 64}), _ACROSS),
    Case(f"emoji, {_HEADS}", "gradients → and colours", w.of_emoji_heads({"look": "hog"}, {})),
    Case("digits, left ↔ right half, heads", "16 numbers → 64", w.of_digits({"dim": 16}, {"dim": 64})),
)
