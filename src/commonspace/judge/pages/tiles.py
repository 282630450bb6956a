"""Items on a page: texts as they are, images as small PNG pictures made anew, everything else as words.

Nothing of an image file reaches the page: it is decoded, laid on white, shrunk and written again, so that a page
carries pixels and no scripts, metadata or surprises in the bytes. What cannot be read is shown as such.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from commonspace.core.errors import BadInput
from commonspace.encode.images import rgb
from commonspace.encode.items import load_images
from commonspace.judge.report import Case

SIDE = 160  # pixels of a picture's longer side: twice what the page gives it, for fine screens
TINY = 48  # below this, enlarging should show pixels, not blur
WORDS = 400  # characters of a text
_LINES = re.compile("\r\n?|[\u2028\u2029]")
_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@dataclass(frozen=True)
class Tile:
    """A `Case`, ready to be shown."""

    kind: str
    caption: str
    note: str
    right: bool
    words: str | None = None
    image: str = ""
    alt: str = ""
    width: int = 0
    height: int = 0
    tiny: bool = False
    broken: str = ""
    answers: tuple[Tile, ...] = ()


def tile(case: Case) -> Tile:
    """Return one item and its answers, ready to be shown."""
    said: dict[str, Any] = {
        "kind": case.kind,
        "caption": plain(case.caption),
        "note": plain(case.note),
        "right": bool(case.right),
        "answers": tuple(tile(a) for a in case.answers),
    }
    if case.kind != "image":
        return Tile(**said, words=None if case.item is None else words(case.item))
    try:
        picture = thumbnail(case.item)
    except BadInput as e:
        return Tile(**said, broken=plain(getattr(e, "rows", {0: e})[0]))
    width, height = picture.size
    alt = ", ".join(filter(None, [said["caption"], said["note"]])) or "an image"
    return Tile(**said, image=png(picture), alt=alt, width=width, height=height, tiny=max(picture.size) < TINY)


def words(item: Any) -> str:
    """Return a readable form of an item, cut off where it is long."""
    text = plain(item if isinstance(item, str) else repr(item))
    return text if len(text) <= WORDS else text[:WORDS].rstrip() + " …"


def plain(value: Any) -> str:
    """Return text that any page can hold: what is no character becomes a mark that something was there."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c in "\n\t" or _shapes(c) else "\ufffd" for c in _LINES.sub("\n", text))


def _shapes(c: str) -> bool:
    """Return whether a character that leaves no ink says how others are written: a space, or a joiner of letters.

    Those that turn the order of what follows are none: with them a text could show what it does not say.
    """
    return unicodedata.category(c) in ("Zs", "Cf") and unicodedata.bidirectional(c) not in _TURNS


def thumbnail(item: Any) -> Image.Image:
    """Return an image item on white, its longer side at most `SIDE` pixels.

    Raises
    ------
    BadInput
        What cannot be read, with the reason.
    """
    picture = load_images([item], rgb)[0].copy()
    picture.thumbnail((SIDE, SIDE))
    return picture


def png(picture: Image.Image) -> str:
    """Return a picture as the address of a PNG that is in the address; 256 colours are enough at this size."""
    pixels = np.asarray(picture.convert("RGB"))
    if (pixels == pixels[..., :1]).all():
        picture = picture.convert("L")
    elif picture.getcolors(256) is None:
        picture = picture.quantize(256)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
