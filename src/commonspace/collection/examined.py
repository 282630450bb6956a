"""A check-up of a collection: its vectors, which of them belong to one item, and the items themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.collection.searching import Searching
from commonspace.core.bags import Bags
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.vectors import distinct_rows

if TYPE_CHECKING:
    from commonspace.judge.doctor import CheckUp
    from commonspace.judge.subject import Subject


class Examined(Searching):
    """The part of `Collection` that says how healthy it is."""

    def subject(
        self,
        *,
        group: str | None = None,
        class_column: str | None = None,
        space_id: str | None = None,
        training: Subject | None = None,
        earlier: Subject | None = None,
    ) -> Subject:
        """Return what a check-up looks at: every modality's vectors, labelled by their items.

        Parameters
        ----------
        group : str, optional
            Field of labels: items with one label show the same thing, and equal vectors of one label count once, as in
            an evaluation. By default every item is a thing of its own.
        class_column : str, optional
            Field of a coarser label, such as a family or category.
        space_id : str, optional
            The space; the current one by default.
        training, earlier : Subject, optional
            To look for leaks and drift.

        Raises
        ------
        BadInput
            There are no vectors.
        NotFound
            There is no such field.
        """
        from commonspace.judge.subject import Subject

        wanted = [f for f in (group, class_column) if f is not None]
        if unknown := [f for f in wanted if f not in self._items.snapshot().fields]:
            known = ", ".join(self._items.snapshot().fields) or "none"
            raise NotFound(f"{self._path} has no field {unknown[0]!r}; it has {known}")
        vectors: dict[str, np.ndarray] = {}
        ids: dict[str, list[Any]] = {}
        for m in self.space.modalities:
            mine, rows = self.vectors(m, space_id=space_id)
            if mine:  # of a bag its mean is looked at
                ids[m], vectors[m] = mine, rows.mean() if isinstance(rows, Bags) else rows
        if not vectors:
            raise BadInput(f"{self._path} has no vectors of its space yet: there is nothing to check")
        labels = {f: {m: self._field(ids[m], f) for m in ids} for f in wanted}
        if group is not None:
            for m in ids:
                first = distinct_rows(vectors[m], labels[group][m])
                vectors[m], ids[m] = vectors[m][first], [ids[m][i] for i in first]
                labels = {f: of | {m: of[m][first]} for f, of in labels.items()}
        return Subject(
            vectors,
            things={m: np.array([str(i) for i in mine]) for m, mine in ids.items()} if group is None else labels[group],
            classes={} if class_column is None else labels[class_column],
            items={m: _Items(self, m, mine) for m, mine in ids.items()},
            names=ids,
            training=training,
            earlier=earlier,
            kinds={m: self.space.kind_of(m) for m in ids},
            about={"collection": self._path.name, "items": len(self), "space": space_id or self._space_id},
        )

    def doctor(
        self,
        *,
        findings: Sequence[Any] | None = None,
        treat: bool | Sequence[Any] = False,
        random_state: int = 0,
        progress: bool = True,
        **options: Any,
    ) -> CheckUp:
        """Look for what is wrong with the collection's vectors, and try what may help.

        Parameters
        ----------
        findings, treat, random_state, progress : as in `commonspace.judge.doctor.check_up`
        **options : as in `subject`
        """
        from commonspace.judge.doctor import check_up

        subject = self.subject(**options)
        return check_up(subject, findings, treat=treat, random_state=random_state, progress=progress)

    def _field(self, ids: list[Any], name: str) -> np.ndarray:
        """Return a field of the items as labels; items without a value are things of their own."""
        now = self._items.snapshot()
        cells = now.column(ids, name)
        return np.array([f"item {i}" if c is None else str(c) for i, c in zip(ids, cells, strict=True)])


class _Items(Sequence[Any]):
    """The items of a modality, read when they are shown: those kept, or the field of that name."""

    def __init__(self, collection: Examined, modality: str, ids: Sequence[Any]) -> None:
        self._collection, self._modality, self._ids = collection, modality, ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, i: Any) -> Any:
        try:
            kept = self._collection.items([self._ids[i]], self._modality)[0]
        except NotFound:
            kept = None
        if kept is not None:
            return kept
        fields: Mapping[str, Any] = self._collection.get([self._ids[i]])[0]
        return fields.get(self._modality)
