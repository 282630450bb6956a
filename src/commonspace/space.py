"""`Space`: encoders for each modality and the heads that bring what they give into one space.

    space = Space({"text": ["minilm", "ngrams"], "image": "hog"}, dim=256)
    report = space.fit(table, columns={"text": "name", "image": "file"}, group="name")
    space.encode(["trash bin"], "text")          # (1, dim) unit rows
    space.save("icons-space"); Space.load("icons-space")

A fitted space has an identity: `Space.id` is a digest of encoders (kind, parameters, weights), heads and dimension.
Vectors of two spaces are never compared; whoever tries gets a `SpaceMismatch`. Encoding needs no torch unless an
encoder does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, Corrupt, NotFitted, NotInstalled, SpaceMismatch
from commonspace.core.protocols import Encoder
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import describe, name_of, restore
from commonspace.core.tables import Table, read_table
from commonspace.core.vectors import check_positive
from commonspace.encode import Cache
from commonspace.encode.columns import Rows, check_columns, column_of, given, rows_of
from commonspace.encode.joint import Joint, build_encoders, cache_of, check_same_encoders, encode_joint
from commonspace.judge.spaces import Examined
from commonspace.model_card import FitReport, card_data, model_card
from commonspace.search.csls import sample_bank
from commonspace.search.evaluation import evaluate_modalities
from commonspace.store.sealed import below, read_sealed, write_sealed
from commonspace.upgrade.reheaded import Reheaded

if TYPE_CHECKING:
    from commonspace.align.forward import NumpyHead
    from commonspace.measure import Estimate

FORMAT = 1
METRICS = ("hit@1", "hit@5", "hit@10", "recall@1", "recall@10", "mrr", "ndcg@10", "median_rank")
EncoderSpec = str | Mapping[str, Any] | Encoder


class Space(Examined, Reheaded):
    """One common embedding space for several modalities.

    Parameters
    ----------
    encoders : mapping of str to encoder, name, mapping or list of these
        Modality -> what encodes it. A list means that all of them encode the same items and their outputs are laid
        side by side, each scaled so that none drowns the others. Modality names are yours to choose.
    dim : int
        Dimension of the space; with ``fit(members=k)`` it becomes k times as much.
    """

    def __init__(self, encoders: Mapping[str, EncoderSpec | Sequence[EncoderSpec]], *, dim: int = 256) -> None:
        if not isinstance(encoders, Mapping) or not encoders:
            raise BadInput('encoders must map modality names to encoders, e.g. {"text": "minilm", "image": "hog"}')
        self._dim = check_positive("dim", dim)
        self.encoders: dict[str, list[Encoder]] = {m: build_encoders(m, spec) for m, spec in encoders.items()}
        self._heads: dict[str, NumpyHead] = {}
        self._banks: dict[str, np.ndarray] = {}
        self._fingerprints: dict[str, list[str]] = {}
        self._unchecked: set[str] = set()
        self._card: dict[str, Any] = {}

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return next(iter(self._heads.values())).dim if self._heads else self._dim

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the prefixes trained to be good vectors, `dim` last; see ``fit(matryoshka=True)``."""
        return tuple(self._card.get("training", {}).get("sizes", [self.dim]))

    @property
    def compatible_with(self) -> dict[str, Any] | None:
        """``id`` and ``dim`` of the earlier space that the first ``dim`` numbers of a vector search; None if none."""
        return self._card.get("compatible_with")

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities, in the order given."""
        return list(self.encoders)

    @property
    def fitted(self) -> bool:
        """Whether the space has heads."""
        return bool(self._heads)

    @property
    def id(self) -> str:
        """Identity of the space: 32 hexadecimal digits that change with anything that changes a vector."""
        self._check_fitted()
        heads = {m: [h.config(), h.arrays()] for m, h in self._heads.items()}
        return digest([FORMAT, self.dim, self._fingerprints, heads])

    @property
    def heads(self) -> dict[str, NumpyHead]:
        """Torch-free heads by modality."""
        self._check_fitted()
        return dict(self._heads)

    def bank(self, modality: str) -> np.ndarray:
        """Return (b, dim) float32: a sample of training vectors, as typical queries of a modality."""
        self._check_fitted()
        self.check_modality(modality)
        return np.asarray(self._banks[modality], np.float32)

    def kind_of(self, modality: str) -> str:
        """Return what the items of a modality are: ``"text"``, ``"image"``, ``"vector"`` ..."""
        self.check_modality(modality)
        return self.encoders[modality][0].kind

    def info(self) -> dict[str, Any]:
        """Return the facts of a fitted space as JSON data."""
        return {
            "id": self.id,
            "dim": self.dim,
            "modalities": {m: [name_of(e) for e in es] for m, es in self.encoders.items()},
            **{k: v for k, v in self._card.items() if k != "history"},
        }

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Figures for the model card, one row a task and metric; those of the fit unless set to others."""
        return list(self._card.get("metrics", []))

    @metrics.setter
    def metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._card = {**self._card, "metrics": [dict(r) for r in rows]}

    def fit(
        self,
        table: Any,
        *,
        columns: Mapping[str, str] | None = None,
        group: str | Sequence[Any] | None = None,
        valid: float | Any = 0.1,
        edits: str | Sequence[str] | Mapping[str, Any] | None = None,
        compatible_with: Space | None = None,
        compatibility: Any = "auto",
        on_error: str = "raise",
        cache: Cache | bool | None = True,
        random_state: RandomState = 0,
        **options: Any,
    ) -> FitReport:
        """Fit the encoders that learn, then light heads for every modality.

        Parameters
        ----------
        table : table-like
            One row is one thing seen in several modalities; a missing cell is a missing modality.
        columns : mapping of str to str, optional
            Modality -> column. By default a modality reads the column of its own name.
        group : str or sequence, optional
            Column (or one label a row): rows with the same label are positives of one another. By default rows
            with an equal item in the first modality are.
        valid : float or table-like
            Share of groups kept for validation, or a table of its own.
        edits : str, sequence of str or mapping, optional
            Modalities whose texts or records, with one thing changed in each, are hard negatives: ``"text"``, or
            ``{"text": ["word", "number"]}``, or ``{"product": {"fields": ["colour"]}}``; see `align.edited`.
        compatible_with : Space, optional
            An earlier space with a modality of the same name: the first ``compatible_with.dim`` numbers of a new
            vector, brought to length one, then search its gallery.
        compatibility : str, mapping, objective or None
            How they are trained for that, see `fit_heads`; "auto" is "oca" with `compatible_with`, else None.
        on_error : "raise" or "skip"
            What to do about items that cannot be read: stop, or leave them out and report them.
        cache : Cache or bool
            Where encoder outputs are kept; True is the user's cache folder, False none.
        random_state : int, Generator or None
            Seed of the split and of training.
        **options
            Passed to `commonspace.align.fit.fit_heads`: ``recipe``, ``head``, ``matryoshka``, ``epochs`` ...
            Positions in ``relevance``, ``negatives`` and ``old`` are those of the table.

        Returns
        -------
        FitReport
            Also kept, in short, in the model card.

        Raises
        ------
        BadInput, NotFound, NotInstalled
            Too few pairs, unknown modality, unreadable items, items that cannot be edited; a column that the table
            does not have; without torch.
        """
        from commonspace.align.compatible import check_earlier
        from commonspace.align.edited import edited_rows
        from commonspace.align.fit import check_options
        from commonspace.align.fit_rows import fit_rows

        rng = generator(random_state)
        if len(self.encoders) < 2:
            raise BadInput(f"a common space needs at least two modalities, this one has only {self.modalities[0]!r}")
        if compatible_with is not None:
            check_earlier(compatible_with, self.encoders, self._dim, options.get("start"))
        if isinstance(compatibility, str) and compatibility == "auto":
            compatibility = None if compatible_with is None else "oca"
        options["compatibility"] = compatibility
        check_options(**options)
        table = read_table(table)
        check_columns(columns, self.modalities, table)
        train, valid_rows = self._split(table, columns, group, valid, rng)
        edited = edited_rows(edits, train, self.encoders, rng.spawn(1)[0])  # does not move the draws of training
        self._heads = {}  # until all is done: heads of an earlier fit do not go with encoders fitted anew
        fitted = fit_rows(
            self.encoders, train, valid_rows, edited=edited, compatible_with=compatible_with, on_error=on_error,
            cache=cache_of(cache), dim=self._dim, random_state=rng, **options,
        )  # fmt: skip
        self._heads = dict(fitted.result.heads)
        self._banks = {m: sample_bank(h(fitted.X[m][fitted.present[m]]), rng) for m, h in self._heads.items()}
        self._fingerprints = {m: [e.fingerprint for e in es] for m, es in self.encoders.items()}
        self._unchecked = set()
        made = {m: e.placed(train.positions) for m, e in edited.items()}
        report = FitReport(
            fitted.result, len(train), fitted.n_valid, fitted.skipped, made, fitted.left_out, fitted.compatible
        )
        self._card = card_data(report, digest([fitted.X, fitted.present, train.labels]), random_state)
        return report

    # --------------------------------------------------------------- encode

    def encode(self, items: Sequence[Any], modality: str, *, cache: Cache | bool | None = True) -> np.ndarray:
        """Return the vectors of items of one modality.

        Parameters
        ----------
        items : sequence of n items
            Text, images (PIL, array, bytes, path), vectors: whatever the modality's encoders take.

        Returns
        -------
        (n, dim) float32, unit rows

        Raises
        ------
        NotFitted
            Before `fit`.
        BadInput
            Unknown modality, or items that cannot be read.
        SpaceMismatch
            If an encoder installed here is not the one the space was built with.
        """
        return self.encode_items(items, modality, cache=cache).vectors

    def encode_items(
        self, items: Sequence[Any], modality: str, *, on_error: str = "raise", cache: Cache | bool | None = True
    ) -> Joint:
        """Like `encode`, but with ``on_error="skip"`` unusable items are left out and named in the result."""
        self._check_fitted()
        self.check_modality(modality)
        self._check_same_encoders(modality)
        encoded = encode_joint(
            self.encoders[modality], list(items), modality=modality, cache=cache_of(cache), on_error=on_error
        )
        return Joint(self._heads[modality](encoded.vectors), encoded.kept, encoded.skipped, encoded.cached)

    # ------------------------------------------------------------- evaluate

    def evaluate(
        self,
        table: Any,
        *,
        columns: Mapping[str, str] | None = None,
        group: str | Sequence[Any] | None = None,
        metrics: Sequence[str] = METRICS,
        hubs: str | None = None,
        on_error: str = "raise",
        cache: Cache | bool | None = True,
        random_state: int = 0,
    ) -> dict[str, dict[str, Estimate]]:
        """Measure retrieval between every two modalities on a table that was not trained on.

        Queries are the distinct items of the first modality, the gallery those of the second; items of the query's
        group are relevant. ``hubs="csls"`` lowers the score of items that lie near every query, as in a search.

        Returns
        -------
        dict of str to (dict of str to Estimate)
            Task (``"text->image"``) -> metric -> value with n and 95 % interval.
        """
        source = read_table(table)
        check_columns(columns, self.modalities, source)
        found = [m for m in self.modalities if column_of(m, columns) in source]
        if len(found) < 2:
            named = ", ".join(column_of(m, columns) for m in self.modalities)
            raise BadInput(f"evaluating needs two of the columns {named}; the table has {', '.join(found) or 'none'}")
        rows = self._rows(source, columns, group, found)
        vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for m, column in rows.items.items():
            where = given(column)
            encoded = self.encode_items([column[i] for i in where], m, on_error=on_error, cache=cache)
            vectors[m] = encoded.vectors, rows.labels[where[encoded.kept]]
        return evaluate_modalities(vectors, metrics=metrics, bank=self.bank, hubs=hubs, random_state=random_state)

    # ----------------------------------------------------------- save, load

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the space as a folder: `config.json`, `heads.safetensors`, fitted encoders, `README.md`.

        The folder appears whole or not at all, in place of one that is there.
        """
        self._check_fitted()
        arrays: dict[str, dict[str, np.ndarray]] = {"heads": {}, "encoders": {}, "banks": self._banks}
        described = {}
        for m, encoders in self.encoders.items():
            described[m] = {"encoders": [describe(e) for e in encoders], "head": self._heads[m].config()}
            for i, e in enumerate(encoders):
                arrays["encoders"] |= {f"{m}/{i}/{k}": v for k, v in e.split_state()[1].items()}
            arrays["heads"] |= {f"{m}/{k}": v for k, v in self._heads[m].arrays().items()}
        config = {
            "format": FORMAT,
            "id": self.id,
            "dim": self.dim,
            "modalities": described,
            "order": self.modalities,
            "fingerprints": self._fingerprints,
            "card": self._card,
        }
        write_sealed(path, config, arrays, readme=model_card(config))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Space:
        """Return the space of a folder that `save` wrote.

        Raises `NotFound` without such a folder, `Corrupt` if a byte changed since it was written, and `NotInstalled` if
        an encoder's package is missing.
        """
        from commonspace.align.forward import NumpyHead

        config, arrays = read_sealed(path)
        if (found := config.get("format")) != FORMAT:
            raise BadInput(f"{path} has format {found!r}, this version reads {FORMAT}: use the release that wrote it")
        space = cls.__new__(cls)
        space.encoders, space._heads, space._banks, space._fingerprints = {}, {}, {}, {}
        try:
            space._dim = check_positive("dim", config["dim"])
            for m in config["order"]:
                part, mine = config["modalities"][m], below(arrays["encoders"], f"{m}/")
                space.encoders[m] = [
                    restore("Encoder", d, below(mine, f"{i}/")) for i, d in enumerate(part["encoders"])
                ]
                space._heads[m] = NumpyHead.from_config(part["head"], below(arrays["heads"], f"{m}/"))
                space._banks[m], space._fingerprints[m] = bank, prints = arrays["banks"][m], config["fingerprints"][m]
                if not 0 < len(part["encoders"]) == len(prints) or bank.shape[1:] != (space.dim,):
                    raise BadInput(f"the parts of the modality {m!r} do not fit together")
            space._unchecked, space._card, id = set(config["order"]), dict(config["card"]), space.id
        except NotInstalled:
            raise
        except Exception as e:  # a digest says that the bytes are those that were written, not who wrote them
            raise Corrupt(f"the space in {path} cannot be loaded ({e!r}): restore the folder from a copy") from None
        if id != config["id"]:
            raise SpaceMismatch(f"{path} says it is space {config['id']!s:.12} but its parts make {id[:12]}")
        return space

    def __repr__(self) -> str:
        parts = ", ".join(f"{m}={'+'.join(name_of(e) for e in es)}" for m, es in self.encoders.items())
        return f"Space({parts}, dim={self.dim}, id={self.id[:12] if self.fitted else 'not fitted'})"

    # --------------------------------------------------------------- inside

    def _rows(self, table: Table, columns: Any, group: Any, modalities: Sequence[str] | None = None) -> Rows:
        kinds = {m: self.encoders[m][0].kind for m in modalities or self.modalities}
        return rows_of(table, kinds, columns, group)

    def _split(
        self, table: Any, columns: Any, group: Any, valid: Any, rng: np.random.Generator
    ) -> tuple[Rows, Rows | None]:
        """Return training and validation rows; a label is never in both."""
        source = read_table(table)
        if len(source) == 0:
            raise BadInput("the table has no rows")
        rows = self._rows(source, columns, group)
        if not isinstance(valid, int | float) or isinstance(valid, bool):
            return rows, self._rows(read_table(valid), columns, group if isinstance(group, str) else None)
        return rows.split(float(valid), rng)

    def _check_fitted(self) -> None:
        if not self._heads:
            raise NotFitted("this space has no heads yet: call space.fit(table) or Space.load(path) first")

    def check_modality(self, modality: str) -> None:
        """Raise `BadInput` unless the space has this modality."""
        if modality not in self.encoders:
            raise BadInput(f"this space has no modality {modality!r}; it has {', '.join(self.modalities)}")

    def _check_same_encoders(self, modality: str) -> None:
        """After a load, compare the encoders here with those the space was built with, once."""
        if modality not in self._unchecked:
            return
        check_same_encoders(self.encoders[modality], self._fingerprints[modality], modality)
        self._unchecked.discard(modality)
