"""Graded manipulations of images and texts: level 0 changes nothing, level 1 as much as still makes sense.

Each is a function of an item, a level in [0, 1] and a random generator, and returns an item of the same kind and size.
They are the visible ones of "Evaluating the Effectiveness and Robustness of Visual Similarity-based Phishing Detection
Models" (2024) as far as they need no page around the image; for texts, what typing and copying do.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

#: (item, level, generator) -> item
Manipulation = Callable[[Any, float, np.random.Generator], Any]


def _image(item: Any) -> Any:
    from commonspace.encode.items import load_image

    return load_image(item).convert("RGB")


def _paper(image: Any) -> tuple[int, int, int]:
    """Return the colour of the four corners, taken for the ground."""
    w, h = image.size
    corners = [image.getpixel(p) for p in ((0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1))]
    r, g, b = np.median(corners, axis=0).astype(int).tolist()
    return r, g, b


def rotate(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Turn by up to 45 degrees, either way."""
    image = _image(item)
    return image.rotate(45 * level * rng.choice([-1, 1]), fillcolor=_paper(image))


def shrink(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Shrink to as little as 40 % on the same ground, in the middle."""
    image = _image(item)
    w, h = (max(1, round(side * (1 - 0.6 * level))) for side in image.size)
    sheet = image.copy()
    sheet.paste(_paper(image), (0, 0, *image.size))
    sheet.paste(image.resize((w, h)), ((image.width - w) // 2, (image.height - h) // 2))
    return sheet


def shift(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Move by up to 30 % of the side, in any direction."""
    image = _image(item)
    angle = rng.uniform(0, 2 * np.pi)
    dx, dy = (round(0.3 * level * side * f(angle)) for side, f in zip(image.size, (np.cos, np.sin), strict=True))
    sheet = image.copy()
    sheet.paste(_paper(image), (0, 0, *image.size))
    sheet.paste(image, (dx, dy))
    return sheet


def recolour(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Blend the channels with another order of them, and at level 1 with the negative."""
    image = np.asarray(_image(item), np.float32)
    other = 255 - image[..., rng.permutation(3)]
    return _back((1 - level) * image + level * other)


def blur(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Blur with a radius of up to 8 % of the side."""
    from PIL import ImageFilter

    image = _image(item)
    return image.filter(ImageFilter.GaussianBlur(0.08 * level * max(image.size)))


def noise(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Add normal noise with a deviation of up to 80 of 255."""
    image = np.asarray(_image(item), np.float32)
    return _back(image + 80 * level * rng.normal(size=image.shape))


def cover(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Cover a square of up to half the side with the ground, anywhere."""
    image = _image(item)
    side = round(0.5 * level * min(image.size))
    x, y = (int(rng.integers(0, s - side + 1)) for s in image.size)
    covered = image.copy()
    if side:
        covered.paste(_paper(image), (x, y, x + side, y + side))
    return covered


def jpeg(item: Any, level: float, rng: np.random.Generator) -> Any:
    """Compress with a quality from 95 down to 5."""
    from PIL import Image

    if level == 0:
        return _image(item)
    file = io.BytesIO()
    _image(item).save(file, "JPEG", quality=round(95 - 90 * level))
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def _back(pixels: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def typos(item: str, level: float, rng: np.random.Generator) -> str:
    """Swap, drop or double up to 30 % of the letters."""
    letters = list(item)
    for i in np.flatnonzero(rng.random(len(letters)) < 0.3 * level):
        kind = rng.integers(3)
        if kind == 0 and i + 1 < len(letters):
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        else:
            letters[i] = "" if kind == 1 else letters[i] * 2
    return "".join(letters) or item


def capitals(item: str, level: float, rng: np.random.Generator) -> str:
    """Write up to all words in capitals."""
    return " ".join(w.upper() if rng.random() < level else w for w in item.split(" "))


def drop_words(item: str, level: float, rng: np.random.Generator) -> str:
    """Leave out up to 60 % of the words, never all."""
    words = item.split()
    kept = [w for w in words if rng.random() >= 0.6 * level]
    return " ".join(kept or words[:1])


def shuffle_words(item: str, level: float, rng: np.random.Generator) -> str:
    """Put up to all words in another order."""
    words = item.split()
    chosen = np.flatnonzero(rng.random(len(words)) < level)
    for i, j in zip(chosen, rng.permutation(chosen), strict=True):
        words[i] = item.split()[j]
    return " ".join(words)


IMAGES: dict[str, Manipulation] = {
    f.__name__: f for f in (rotate, shrink, shift, recolour, blur, noise, cover, jpeg)
}  # fmt: skip
TEXTS: dict[str, Manipulation] = {f.__name__: f for f in (typos, capitals, drop_words, shuffle_words)}
