"""Emoji: one concept in several drawings and 24 languages, for the claims of this folder.

From the shared set `emoji` (drawings of Noto, Twemoji and OpenMoji; names and keywords of Unicode CLDR), without the
skin tones of a concept. Variants of one concept never cross a split.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from claims import Skip

from commonspace.encode.hog import HOG


@dataclass(frozen=True)
class Emoji:
    """Concepts, one a row.

    Parameters
    ----------
    names, keywords : dict of str to list
        Language -> name (empty where there is none), list of keywords.
    groups, subgroups, bases : (n,) str
        The two levels of Unicode's order; what variants of one concept share.
    images : dict of str to (n, d) float32
        Drawing -> shape (gradient histograms) and colour (8 x 8).
    """

    names: dict[str, list[str]]
    keywords: dict[str, list[list[str]]]
    groups: np.ndarray
    subgroups: np.ndarray
    bases: np.ndarray
    images: dict[str, np.ndarray]

    def split(self, seed: int, tests: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
        """Return (training rows, test rows); variants of one concept stay together."""
        bases = np.random.default_rng(seed).permutation(np.unique(self.bases))
        held = np.isin(self.bases, bases[: round(tests * len(bases))])
        return np.flatnonzero(~held), np.flatnonzero(held)


def folder() -> Path:
    """Return where the set lies, or skip the claim."""
    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / "emoji"
    if not (path / "emoji.parquet").is_file():
        raise Skip(f"the shared set emoji is not at {path}: set COMMONSPACE_DATA")
    return path


@lru_cache(maxsize=4)
def emoji(languages: tuple[str, ...] = ("en",), vendors: tuple[str, ...] = ("noto",)) -> Emoji:
    """Read the concepts that every vendor drew, in some languages."""
    import pandas as pd

    path = folder()
    table = pd.read_parquet(path / "emoji.parquet")
    drawn = np.logical_and.reduce([table[f"has_{v}"] for v in vendors])
    table = table[(table.n_tones == 0) & (table.group != "Component") & drawn].reset_index(drop=True)
    texts = pd.read_parquet(path / "texts.parquet")
    rows = {lang: texts[texts.lang == lang].set_index("key").reindex(table.key) for lang in languages}
    return Emoji(
        names={lang: [n if isinstance(n, str) else "" for n in t["name"]] for lang, t in rows.items()},
        keywords={lang: [_list(k) for k in t["keywords"]] for lang, t in rows.items()},
        groups=table.group.to_numpy(str),
        subgroups=table.subgroup.to_numpy(str),
        bases=table.base_key.to_numpy(str),
        images={v: _features(path / f"images_{v}.parquet", list(table.key)) for v in vendors},
    )


def _list(cell: object) -> list[str]:
    return [str(k) for k in cell] if isinstance(cell, np.ndarray) else []


def _features(path: Path, keys: list[str]) -> np.ndarray:
    import pandas as pd
    from PIL import Image

    png = pd.read_parquet(path).set_index("key").png.reindex(keys)
    white = Image.new("RGBA", (72, 72), "white")
    drawings = [Image.alpha_composite(white, Image.open(io.BytesIO(b)).convert("RGBA")).convert("RGB") for b in png]
    colour = np.stack([np.asarray(d.resize((8, 8), Image.Resampling.BOX), np.float32).ravel() / 255 for d in drawings])
    return np.concatenate([HOG(cells=(8,)).encode(drawings), 1 - colour], axis=1)
