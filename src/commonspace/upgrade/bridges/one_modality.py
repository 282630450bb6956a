"""One-modality bridge: learned from items of one modality, the cheap one, and used on all.

Encoding a thousand texts anew costs seconds, a thousand films hours. In a space that modalities share, what is learned
from texts says most about the others, too. What is different is that they lie elsewhere, in directions in which texts
hardly vary:

    the modality learned from    crosses by ridge regression, as with the bridge `ridge`
    all others                   cross by the rotation learned from it, y = mean_y + (x - mean_x) R [+ offset]

A regression shrinks what it has not seen vary to nothing. A rotation cannot: it keeps every distance, those between a
text and an image included, and so carries the gap between modalities over as it is. It is also where noise on the
inputs leads, which the source trains with: for a linear map noise is a ridge penalty, and the more of it, the nearer
the map comes to X'Y, of which R is the orthogonal part.

That is the linear form. The other one is a perceptron that carries all modalities alike (`perceptron`):

    phi(x) = S x + W2 gelu(norm(W1 x)),       trained so that phi(x + noise) points to y

Noise stands for what is not known: where the other modalities lie between the vectors learned from. What comes out is
the mean of the old vectors around x, and with it less of what the old space got wrong of each.

What is known of another modality m, and what it costs:

    old vectors                  free: they are stored. They tell where m lies before it crosses (items), or where it
                                 should land (queries), but not both ends, and one end alone did not help.
    `few` new vectors            so many calls of its new encoder. Linear: the mean of y - f(x) over them is an unbiased
                                 offset, and what is the same of an item in both spaces does not blur it. It is shrunk
                                 by what chance contributes to its length (James and Stein), to zero if that is all of
                                 it. Perceptron: rows to learn from, as many in a step as of the modality learned from.
    none                         straight on; the default.

and what is known of things that two modalities show, which the perceptron can be tuned on:

    new vectors of both          brought together where they land; the old model is not needed.
    new of one, old of the other brought to where the old space keeps them, and nothing of the other is encoded anew.

Source: "Towards Cross-modal Backward-compatible Representation Learning for Vision-Language Models" (XBT), whose first
stage learns the way new -> old from texts alone, by a perceptron, with noise against the gap between modalities, and
whose second stage brings a few pairs together. There it is adapters in the new encoder that are tuned; a bridge sees
vectors only, so that here it is the perceptron. The weights of the losses are not the source's, whose text says little
of them. The linear form, `few`, tuning on what is stored and the way old -> new are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from commonspace.align.forward import NumpyHead
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import need, register
from commonspace.core.vectors import check_number, check_positive, check_vectors, unit
from commonspace.reshape.procrustes import Procrustes
from commonspace.upgrade.bridges import perceptron
from commonspace.upgrade.bridges.affine import Affine
from commonspace.upgrade.bridges.base import ANY
from commonspace.upgrade.bridges.ridge import RidgeBridge
from commonspace.upgrade.pairs import Pairs

FORMS = ("linear", "perceptron")
OTHERS = ("rotation", "same")
Rows = Mapping[str, np.ndarray]


@register(
    "one-modality",
    protocol="Bridge",
    synonyms=("xbt", "text-only"),
    papers=[
        Paper(
            "Towards Cross-modal Backward-compatible Representation Learning for Vision-Language Models",
            2025,
            "https://arxiv.org/abs/2405.14715",
        )
    ],
    claim="upgrade/one_modality",
)
class OneModality(RidgeBridge):
    """Learn from one modality, carry all.

    Parameters
    ----------
    carries : {"items", "queries"}
        Which side crosses.
    learns_from : str, optional
        The modality; by default that with most rows.
    others : {"rotation", "same"}
        How the other modalities cross: by the rotation, or as the one that was learned from.
    few : int
        Items of each other modality that may be used, for its offset or to train the perceptron; 0 uses none.
    way : {"auto", "direct", "adjoint"}
        As for `MapBridge`, for queries of the modality learned from.
    form : {"linear", "perceptron"}
        What it is made of; `others` and `way` concern only the linear one, what follows only the perceptron.
    noise : float
        Length of the noise that training adds to unit rows.
    contrast : float
        Weight of InfoNCE beside the cosine of where a row lands with where it should.
    hidden, steps : int
        Width of the hidden layer, and batches of each modality that training sees.

    Attributes
    ----------
    learned_from_ : str
    offsets_ : dict of str to float
        Other modality -> length of its offset, after shrinking; only of the linear form, and where `few` is above 0.
    """

    title = "learned from one modality"
    _phi: NumpyHead | None = None

    def __init__(
        self,
        *,
        carries: str = "items",
        learns_from: str | None = None,
        others: str = "rotation",
        few: int = 0,
        way: str = "auto",
        form: str = "linear",
        noise: float = 0.5,
        contrast: float = 0.0,
        hidden: int = 1024,
        steps: int = 300,
    ) -> None:
        super().__init__(carries=carries, maps="one", way=way)
        self.learns_from = learns_from
        self.others = others
        self.few = few
        self.form = form
        self.noise = noise
        self.contrast = contrast
        self.hidden = hidden
        self.steps = steps

    def fit(self, pairs: Pairs, *, random_state: RandomState = 0) -> Self:
        """Learn from items of both spaces, as every bridge does.

        Parameters
        ----------
        pairs : Pairs
            Items. Which modality has most rows is asked of all that there were before some were taken, so that the
            folds of a cross-validation learn from the same; of equals the first counts.
        random_state : int, Generator or None
            Seed of whatever is drawn in learning.
        """
        self._most = max((m for m, x in pairs.old.items() if len(x)), key=lambda m: pairs.sizes[m])
        return super().fit(pairs, random_state=random_state)

    def learn(
        self, source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> None:
        """Learn from the rows of one modality; of others from `few` at most."""
        self._check()
        name = self._most if self.learns_from is None else self.learns_from
        if name not in source:
            raise BadInput(f"learns_from is {name!r}, but there are items of {', '.join(source)} only")
        learn = self._learn_curve if self.form == "perceptron" else self._learn_lines
        learn(name, source, target, rng)
        self.learned_from_ = name

    def tune(
        self,
        vectors: Mapping[str, Any],
        *,
        stored: Mapping[str, Any] | None = None,
        hold: float = 5.0,
        random_state: RandomState = 0,
    ) -> Self:
        """Go on learning from things that two modalities show, without the old model.

        Rows of the two that show the same thing are brought together where the perceptron puts them, and held near to
        where it put them before.

        Parameters
        ----------
        vectors : mapping of str to (n, d_new) array
            Two modalities -> vectors of the new space; row i of both shows thing i. With `stored` one modality.
        stored : mapping of str to (n, d_old) array, optional
            Another modality -> the vectors by which the old space keeps the same things; they stay where they are, and
            nothing of that modality is encoded anew.
        hold : float
            Weight of staying where it was.
        random_state : int, Generator or None
            Seed of whatever is drawn.
        """
        self.check_fitted()
        if self._phi is None or self.carries != "queries":
            raise BadInput(
                'only a bridge that carries queries across a perceptron can be tuned: make it with carries="queries", '
                'form="perceptron"'
            )
        check_number("hold", hold)
        for name, given in (("vectors", vectors), ("stored", {} if stored is None else stored)):
            if not isinstance(given, Mapping):
                raise BadInput(f"{name} must map a modality to its vectors, not be a {type(given).__name__}")
        new, old = self.dims_
        sides = [(f"the vectors of {m}", x, new) for m, x in vectors.items()]
        sides += [(f"the stored vectors of {m}", x, old) for m, x in (stored or {}).items()]
        rows = [unit(check_vectors(x, name=name, dim=dim, allow_zero=False)) for name, x, dim in sides]
        if len(rows) != 2 or len(vectors) != (1 if stored else 2) or len(rows[0]) != len(rows[1]) or len(rows[0]) < 2:
            got = ", ".join(f"{len(x)} rows of {name}" for (name, *_), x in zip(sides, rows, strict=True))
            raise BadInput(
                "tuning takes two modalities, row i of both of the same thing, and two things at least: new vectors of "
                f"both, or new ones of one and stored= of the other; got {got or 'none'}"
            )
        if twice := set(vectors) & set(stored or {}):
            raise BadInput(
                f"{', '.join(sorted(twice))} is among vectors and stored: name another modality of the same things in "
                "stored, since what is tuned is where two modalities meet"
            )
        self._phi = perceptron.tuned(
            self._phi, (rows[0], rows[1]), self._how, hold, generator(random_state), crosses=not stored
        )
        return self

    def cross(self, rows: np.ndarray, modality: str | None) -> np.ndarray:
        """Return the rows where they land."""
        return super().cross(rows, modality) if self._phi is None else self._phi(rows)

    @property
    def numbers(self) -> int:
        """How many numbers it consists of."""
        return super().numbers if self._phi is None else sum(a.size for a in self._phi.arrays().values())

    def state(self) -> dict[str, Any]:
        """Return what was learned; the arrays of the perceptron are named after their places."""
        if self._phi is None:
            return super().state()
        arrays = {f"phi.{place}_": a for place, a in self._phi.arrays().items()}
        return {**super().state(), "phi_": self._phi.config(), **arrays}

    def load_state(self, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Put back what `split_state` returned."""
        if "phi_" not in plain:
            return super().load_state(plain, arrays)
        self._phi = NumpyHead.from_config(plain["phi_"], {k[len("phi.") : -1]: v for k, v in arrays.items()})
        return super().load_state({**{k: v for k, v in plain.items() if k != "phi_"}, "parts_": []}, {})

    @property
    def _how(self) -> perceptron.How:
        return perceptron.How(self.hidden, self.steps, self.noise, self.contrast)

    def _check(self) -> None:
        check_choice("form", self.form, FORMS)
        check_choice("others", self.others, OTHERS)
        if isinstance(self.few, bool) or not isinstance(self.few, int) or self.few < 0:
            raise BadInput(f"few must be a whole number of at least 0, not {self.few!r}")
        for name in ("hidden", "steps"):
            check_positive(name, getattr(self, name))
        for name in ("noise", "contrast"):
            check_number(name, getattr(self, name))

    def _learn_curve(self, name: str, source: Rows, target: Rows, rng: np.random.Generator) -> None:
        """Learn one perceptron from the rows of a modality and a few of the others."""
        need("torch")
        some = {m: rng.permutation(len(x))[: len(x) if m == name else self.few] for m, x in source.items()}
        self._phi = perceptron.learned(
            {m: source[m][r] for m, r in some.items()}, {m: target[m][r] for m, r in some.items()}, self._how, rng
        )
        self._parts, self.chosen_ = {}, {ANY: self.form}
        self.offsets_: dict[str, float] = {}

    def _learn_lines(self, name: str, source: Rows, target: Rows, rng: np.random.Generator) -> None:
        """Learn the regression and the rotation from the rows of a modality, and offsets from a few of the others."""
        x, y = source[name], target[name]
        super().learn({name: x}, {name: y}, rng)
        own, chosen = self._parts[ANY], self.chosen_[ANY]
        if self.others == "rotation":
            other = Affine.of(Procrustes(center=True).fit(x, y), x.shape[1], y.shape[1])
        else:
            other = own
        parts, lengths = {ANY: other, name: own}, {}
        for m in source:
            if m != name and self.few:
                rows = rng.permutation(len(source[m]))[: self.few]
                parts[m] = _moved(other, source[m][rows], target[m][rows])
                lengths[m] = float(np.linalg.norm(parts[m].shift - other.shift))
        self._parts, self.offsets_, self._phi = parts, lengths, None
        self.chosen_ = {name: chosen, ANY: self.others}


def _moved(part: Affine, x: np.ndarray, y: np.ndarray) -> Affine:
    """Return a map with the offset that some rows show, shrunk by what chance contributes to it."""
    if len(x) < 2:
        return part
    left = y - part(x)
    offset = left.mean(axis=0)
    size, chance = float(offset @ offset), float(left.var(axis=0, ddof=1).sum()) / len(left)
    kept = max(0.0, 1.0 - chance / size) if size > 0 else 0.0
    return Affine(part.factors, (part.shift + kept * offset).astype(np.float32))
