"""Worlds in which an encoder changes: real items and queries, encoded before and after, and what belongs together.

A world is a function of a seed, so that what is random in it (heads, which icons) can be drawn anew. `split` parts it
into probes, on which a plan is made, and the rest, on which the truth is measured: other items, other queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from claims.upgrade._sets import texts
from claims.upgrade._texts import encode, kept

from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Probes

Vectors = Mapping[str, np.ndarray]
EPOCHS = 20


@dataclass(frozen=True)
class World:
    """Items and queries in both spaces.

    Parameters
    ----------
    old, new : mapping of str to (n, d) arrays
        Modality -> vectors of the items.
    things : mapping of str to (n,) array
        What each row shows.
    asking : tuple of str
        Modalities that only ask; the others are searched. Without any the searched ones ask each other.
    """

    old: Vectors
    new: Vectors
    things: Vectors
    asking: tuple[str, ...] = ()

    def part(self, things: np.ndarray, seed: int = 0, most: int = 10**9) -> Probes:
        """Return the rows of some things as probes, at most so many of a modality."""
        rng = np.random.default_rng(seed)
        rows = {}
        for m, shown in self.things.items():
            mine = np.flatnonzero(np.isin(shown, things))
            rows[m] = np.sort(rng.permutation(mine)[:most])

        def pairs(names: list[str]) -> Pairs:
            return Pairs({m: self.old[m][rows[m]] for m in names}, {m: self.new[m][rows[m]] for m in names})

        searched = [m for m in self.old if m not in self.asking]
        shown = {m: self.things[m][r] for m, r in rows.items()}
        return Probes(
            pairs(searched), {m: shown[m] for m in searched}, pairs(list(self.asking)) if self.asking else None,
            {m: shown[m] for m in self.asking},
        )  # fmt: skip

    def split(self, seed: int, probes: int, most: int = 3000) -> tuple[Probes, Probes]:
        """Return (probes, the rest): no thing is in both, and a third of all things is left for the rest."""
        shared = np.unique(np.concatenate(list(self.things.values())))
        order = np.random.default_rng(seed).permutation(shared)
        # Things have several rows where they ask themselves; the number of probes is one of items.
        searched = [m for m in self.old if m not in self.asking]
        rows = np.mean([len(self.things[m]) for m in searched]) / len(shared)
        first = round(min(probes / rows, 2 / 3 * len(shared)))
        return self.part(order[:first], seed), self.part(order[first:], seed, most)


def world(old: Vectors, new: Vectors, things: Vectors, asking: tuple[str, ...] = ()) -> World:
    """Return a world without rows that have no direction in either space."""
    whole = {
        m: (np.linalg.norm(old[m], axis=1) > 1e-6) & (np.linalg.norm(new[m], axis=1) > 1e-6) for m in things
    }  # fmt: skip
    take = lambda side: {m: np.asarray(side[m])[k] for m, k in whole.items()}  # noqa: E731
    return World(take(old), take(new), take(things), asking)


def of_texts(name: str, old: str, new: str, asks: str, searched: str) -> Callable[[int], World]:
    """Return the world of a text collection whose text encoder changes."""

    def make(seed: int) -> World:
        both = texts(name).items
        learned = both[searched]
        vectors = [{m: encode(e, both[m], learned) for m in (asks, searched)} for e in (old, new)]
        # Equal texts are one thing; of equal items one is kept.
        thing = np.unique(both[searched], return_index=True, return_inverse=True)
        things = {asks: thing[2], searched: np.arange(len(thing[1]))}
        return world(*({asks: v[asks], searched: v[searched][thing[1]]} for v in vectors), things, (asks,))

    return make


def of_questions(old: str, new: str) -> Callable[[int], World]:
    """Return tables asked by a question each."""

    def make(seed: int) -> World:
        found = texts("wikitables")
        tables, questions = found.items["table"], found.questions
        vectors = [{"question": encode(e, questions, tables), "table": encode(e, tables, tables)} for e in (old, new)]
        things = {"question": found.relevant.argmax(axis=1), "table": np.arange(len(tables))}
        return world(*vectors, things, ("question",))

    return make


def of_names(old: str, new: str) -> Callable[[int], World]:
    """Return emoji by their English name, asked by their keywords."""

    def make(seed: int) -> World:
        from claims.align._emoji import emoji

        found = emoji(("en",), ("noto",))
        full = [i for i, k in enumerate(found.keywords["en"]) if k and found.names["en"][i]]
        names = [found.names["en"][i] for i in full]
        words = [", ".join(w for w in found.keywords["en"][i] if w != found.names["en"][i]) for i in full]
        told = [i for i, w in enumerate(words) if w]
        both = {"keywords": [words[i] for i in told], "name": [names[i] for i in told]}
        vectors = [{m: encode(e, x, names) for m, x in both.items()} for e in (old, new)]
        things = np.unique(both["name"], return_inverse=True)[1]
        return world(*vectors, dict.fromkeys(both, things), ("keywords",))

    return make


def of_drawings(old: str, new: str) -> Callable[[int], World]:
    """Return emoji as one vendor drew them, asked by another vendor's drawings; hog, colour, both or pixels."""

    def make(seed: int) -> World:
        from claims.align._emoji import emoji

        found = emoji(("en",), ("noto", "twemoji"))
        vectors = [{v: _looks(x, e) for v, x in found.images.items()} for e in (old, new)]
        things = np.arange(len(found.bases))
        return world(*vectors, dict.fromkeys(found.images, things), ("twemoji",))

    return make


def _looks(features: np.ndarray, what: str) -> np.ndarray:
    """Return a part of the features of an emoji: its shape, its colours, or both."""
    colour = features[:, -192:] - features[:, -192:].mean(axis=1, keepdims=True)
    return {"hog": features[:, :-192], "colour": colour, "both": features}[what]


def of_icons(old: dict[str, Any], new: dict[str, Any]) -> Callable[[int], World]:
    """Return icons that several families drew, which ask for each other; encoders by their registered name."""

    def make(seed: int) -> World:
        from claims.align._data import all_icons

        from commonspace.core.protocols import Encoder
        from commonspace.core.registry import build

        icons = all_icons()
        names, numbers, count = np.unique(icons.names, return_inverse=True, return_counts=True)
        several = np.random.default_rng(seed).permutation(np.flatnonzero(count > 1))[:1500]
        rows = np.flatnonzero(np.isin(numbers, several))
        images = [icons.images[i] for i in rows]

        def vectors(spec: dict[str, Any]) -> np.ndarray:
            encoder: Encoder = build("Encoder", spec)
            return kept("icons", lambda: {"x": encoder.encode(images)}, encoder.fingerprint, seed, len(names))["x"]

        return world({"image": vectors(old)}, {"image": vectors(new)}, {"image": numbers[rows]})

    return make


def of_icon_heads(old: dict[str, Any], new: dict[str, Any]) -> Callable[[int], World]:
    """Return icons with their names in two spaces of trained heads.

    Settings: pairs to learn from, dim, run (the seed of the heads), text ("ngrams" or "minilm"), loss.
    """

    def make(seed: int) -> World:
        ends = [_icon_space(seed, **spec) for spec in (old, new)]
        groups = ends[0].pop("groups")
        ends[1].pop("groups")
        return world(*ends, dict.fromkeys(ends[0], groups))

    return make


def _icon_space(seed: int, *, pairs: int = 3000, **how: Any) -> dict[str, np.ndarray]:
    """Return vectors of icons that no head has learned from, and their groups."""
    from claims.align._data import icons

    from commonspace.encode.hog import HOG
    from commonspace.encode.ngrams import NGrams

    def make() -> dict[str, np.ndarray]:
        split, train, test = icons(
            seed, 6000, 2500, image=HOG(cells=(8,)), text=NGrams(dim=256, max_features=5000)
        )  # fmt: skip
        x, y = dict(split.train), dict(split.test)
        if how.pop("text", "ngrams") == "minilm":
            from claims.align._data import all_icons

            names = all_icons().names
            x["text"], y["text"] = (encode("minilm 6 mean", [str(n) for n in names[r]]) for r in (train, test))
        rows = np.arange(len(train))[:pairs]
        z = _heads({m: v[rows] for m, v in x.items()}, split.train_groups[rows], y, **how)
        return {**z, "groups": split.test_groups}

    return kept("icon-heads", make, seed, pairs, dict(how), EPOCHS)


def of_emoji_heads(old: dict[str, Any], new: dict[str, Any]) -> Callable[[int], World]:
    """Return emoji with their names in two spaces of trained heads; settings as for icons, and image."""

    def make(seed: int) -> World:
        ends = [_emoji_space(seed, **spec) for spec in (old, new)]
        things = ends[0].pop("groups")
        ends[1].pop("groups")
        return world(*ends, dict.fromkeys(ends[0], things))

    return make


def _emoji_space(seed: int, *, share: float = 1.0, text: str = "ngrams 128", look: str = "both", **how: Any) -> Any:
    from claims.align._emoji import emoji

    def make() -> dict[str, np.ndarray]:
        found = emoji(("en",), ("noto",))
        train, test = found.split(seed, 0.6)
        learn = np.random.default_rng(seed).permutation(train)[: round(share * len(train))]
        names = [n or "nothing" for n in found.names["en"]]
        x = {"image": _looks(found.images["noto"], look), "text": encode(text, names, [names[i] for i in train])}
        z = _heads({m: v[learn] for m, v in x.items()}, learn, {m: v[test] for m, v in x.items()}, **how)
        return {**z, "groups": np.unique([names[i] for i in test], return_inverse=True)[1]}

    return kept("emoji-heads", make, seed, share, text, look, dict(how), EPOCHS)


def of_digits(old: dict[str, Any], new: dict[str, Any]) -> Callable[[int], World]:
    """Return left and right halves of handwritten digits in two spaces of trained heads."""

    def make(seed: int) -> World:
        ends = [_digit_space(seed, **spec) for spec in (old, new)]
        return world(*ends, {m: np.arange(len(x)) for m, x in ends[0].items()})

    return make


def _digit_space(seed: int, *, pairs: int = 700, **how: Any) -> dict[str, np.ndarray]:
    from claims.align._data import digits

    def make() -> dict[str, np.ndarray]:
        split = digits(seed, 700, 1000)
        rows = np.arange(pairs)
        return _heads({m: v[rows] for m, v in split.train.items()}, rows, split.test, **how)

    return kept("digit-heads", make, seed, pairs, dict(how), EPOCHS)


def _heads(
    train: Vectors, groups: np.ndarray, test: Vectors, *, dim: int = 64, run: int = 0, loss: str = "infonce",
    epochs: int = EPOCHS,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the test items through heads trained on the pairs."""
    from commonspace.align.fit import fit_heads

    found = fit_heads(
        train, groups=groups, objective=loss, head={"name": "mlp", "hidden": 256, "dropout": 0.2}, dim=dim,
        epochs=epochs, valid=None, baselines=(), batch_size=256, random_state=run,
    )  # fmt: skip
    return {m: found.heads[m](x) for m, x in test.items()}
