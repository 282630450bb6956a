"""Icons of three vendors, for claims about concepts that several hands drew: drawings, names, tags, grades by tags.

From the shared set `icons` (Lucide, Bootstrap Icons, Material Design Icons). A concept is a name without the words of
its style ("heart fill" shows a heart); of a vendor's drawings of a concept the one with the shortest name is kept. All
concepts that two or more vendors drew are in, then others with a tag, as many of each vendor, until there are enough.
No concept is in both parts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from claims import Skip
from scipy.sparse import csr_array

from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

VENDORS = ("lucide", "bootstrap", "mdi")
STYLES = {"outline", "fill", "variant"}
Vectors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Icons:
    """Drawings, one a row.

    Parameters
    ----------
    images : (n, d) float32
        Gradient histograms.
    names : list of n str
        The concept in words.
    tags : list of n sets of str
        What its vendor calls it besides; empty where it has none.
    concepts : (n,) int64
        What a row shows.
    vendors : (n,) int64
        By whose hand, as in `VENDORS`.
    """

    images: np.ndarray
    names: list[str]
    tags: list[set[str]]
    concepts: np.ndarray
    vendors: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> Icons:
        """Return the drawings at these rows."""
        return Icons(
            self.images[rows], [self.names[i] for i in rows], [self.tags[i] for i in rows], self.concepts[rows],
            self.vendors[rows],
        )  # fmt: skip

    def pooled(self) -> list[set[str]]:
        """Return for each row the tags that any vendor gave its concept."""
        every: dict[int, set[str]] = {}
        for concept, tags in zip(self.concepts.tolist(), self.tags, strict=True):
            every.setdefault(concept, set()).update(tags)
        return [every[c] for c in self.concepts.tolist()]


@lru_cache(maxsize=2)
def vendor_icons(concepts: int = 2000) -> Icons:
    """Read so many concepts; the draw of those that one vendor drew is fixed."""
    import pandas as pd

    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / "icons" / "icons.parquet"
    if not path.is_file():
        raise Skip(f"the shared set icons is not at {path.parent}: set COMMONSPACE_DATA")
    table = pd.read_parquet(path)
    table["concept"] = [" ".join(w for w in name.split() if w not in STYLES) for name in table["name"].str.lower()]
    table["long"] = table["name"].str.len()
    table = table[table.concept != ""].sort_values(["long", "icon_id"]).drop_duplicates(["concept", "vendor"])
    table["hands"] = table.groupby("concept").vendor.transform("nunique")
    table = table.sort_values("icon_id").reset_index(drop=True)
    shared = table[table.hands > 1]
    alone = table[(table.hands == 1) & (table.tags.map(len) > 0)]
    each = max(0, concepts - shared.concept.nunique()) // len(VENDORS)
    others = [alone[alone.vendor == v].sample(each, random_state=0) for v in VENDORS]
    table = pd.concat([shared, *others]).sort_values("icon_id").reset_index(drop=True)
    return Icons(
        images=HOG(cells=(8,)).encode([_drawing(png) for png in table.png]),
        names=list(table.concept),
        tags=[{str(t).lower().replace("-", " ") for t in tags} for tags in table.tags],
        concepts=np.unique(table.concept.to_numpy(str), return_inverse=True)[1],
        vendors=np.array([VENDORS.index(v) for v in table.vendor]),
    )


def split(icons: Icons, seed: int, tests: float = 0.3) -> tuple[Icons, Icons]:
    """Return training and test drawings."""
    drawn = np.random.default_rng(seed).permutation(np.unique(icons.concepts))
    held = np.isin(icons.concepts, drawn[: round(tests * len(drawn))])
    return icons.take(np.flatnonzero(~held)), icons.take(np.flatnonzero(held))


@dataclass(frozen=True)
class Encoders:
    """Text encoders that know the training part only."""

    name: NGrams
    tags: NGrams

    @classmethod
    def of(cls, train: Icons) -> Encoders:
        """Fit them."""
        return cls(
            NGrams(dim=128, max_features=5000).fit(train.names),
            NGrams(dim=128, max_features=5000).fit([_words(t) for t in train.tags if t]),
        )

    def encode(self, icons: Icons) -> Vectors:
        """Return the rows of all modalities; a drawing without tags is absent in the last."""
        tags = self.tags.encode([_words(t) for t in icons.tags])
        return {"image": icons.images, "name": self.name.encode(icons.names), "tags": tags}


def grades(asked: Icons, found: Icons) -> np.ndarray:
    """Return (n, m): 1 for the same concept, else the share of common tags among all tags of the two concepts."""
    words = sorted(set().union(*asked.pooled(), *found.pooled()))
    number = {w: i for i, w in enumerate(words)}

    def table(rows: list[set[str]]) -> csr_array:
        where = [(i, number[w]) for i, tags in enumerate(rows) for w in sorted(tags)]
        at = np.array(where, dtype=np.int64).reshape(-1, 2).T
        return csr_array((np.ones(at.shape[1]), (at[0], at[1])), shape=(len(rows), len(words)))

    a, b = table(asked.pooled()), table(found.pooled())
    common = (a @ b.T).toarray()
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - common
    share = np.divide(common, either, out=np.zeros_like(common), where=either > 0)
    return np.where(asked.concepts[:, None] == found.concepts[None, :], 1.0, share)


def _words(tags: set[str]) -> str:
    return ", ".join(sorted(tags))


def _drawing(png: bytes) -> np.ndarray:
    """Return dark ink on white, (48, 48) uint8."""
    import io

    from PIL import Image

    return 255 - np.asarray(Image.open(io.BytesIO(png)).convert("L"))
