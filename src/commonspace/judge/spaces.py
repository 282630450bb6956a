"""The subject of a space and a table: its items as the space encodes them, and which rows show the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.tables import Table, none_for_nan, read_table
from commonspace.core.vectors import distinct_rows
from commonspace.encode.columns import check_columns, column_of, given, items_of
from commonspace.encode.items import item_digest
from commonspace.judge.subject import Subject

if TYPE_CHECKING:
    from commonspace.judge.doctor import CheckUp


class Encodes(Protocol):
    """What a space must offer to be checked."""

    @property
    def id(self) -> str:
        """Its identity."""

    @property
    def modalities(self) -> list[str]:
        """Names of its modalities."""

    def kind_of(self, modality: str) -> str:
        """Return what the items of a modality are."""

    def encode_items(self, items: Sequence[Any], modality: str, *, on_error: str, cache: Any) -> Any:
        """Return vectors, the places of the items that they are of, and what was skipped."""


def subject_of(
    space: Encodes,
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    group: str | Sequence[Any] | None = None,
    class_column: str | None = None,
    training: Any = None,
    earlier: Encodes | None = None,
    on_error: str = "raise",
    cache: Any = True,
) -> Subject:
    """Encode a table and return what is known of its rows.

    As in an evaluation, equal vectors of one group count once: a text that stands beside four drawings is one text.

    Parameters
    ----------
    space : Space
        Encodes the items.
    table : table-like
        One row is one thing seen in several modalities.
    columns, group : as in ``Space.evaluate``
    class_column : str, optional
        Column of a coarser label, such as a family or category.
    training : table-like, optional
        What the space was trained on, with the same columns.
    earlier : Space, optional
        An earlier version, which encodes the same table.
    on_error, cache : as in ``Space.encode_items``

    Raises
    ------
    BadInput
        No column of any modality, no column of classes, or an earlier space of none of the modalities.
    """
    encoded = _Encoded(space, table, columns, group, class_column, on_error, cache)
    former = None if earlier is None else _Encoded(earlier, table, columns, group, None, on_error, cache)
    trained = None
    if training is not None:
        named = group if group is None or isinstance(group, str) else None
        trained = _Encoded(space, training, columns, named, None, on_error, cache).subject()
    return encoded.subject(training=trained, earlier=None if former is None else former.subject())


class _Encoded:
    """A table as a space encodes it."""

    def __init__(
        self,
        space: Encodes,
        table: Any,
        columns: Mapping[str, str] | None,
        group: str | Sequence[Any] | None,
        class_column: str | None,
        on_error: str,
        cache: Any,
    ) -> None:
        self.space = space
        self.source = source = read_table(table)
        check_columns(columns, space.modalities, source)
        self.kinds = {m: space.kind_of(m) for m in space.modalities if column_of(m, columns) in source}
        if not self.kinds or not len(source):
            wanted = ", ".join(column_of(m, columns) for m in space.modalities)
            raise BadInput(f"the table has no rows, or none of the columns {wanted}: say which one a modality reads")
        self.items = {m: items_of(source, m, columns, kind) for m, kind in self.kinds.items()}
        things = _things(source, group, *next(iter(self.items.items())), self.kinds)
        classes = None
        if class_column is not None:  # a row of no class is of a class of its own, not of that of the others
            cells = [none_for_nan(c) for c in source[class_column]]
            classes = np.asarray([f"row {i}" if c is None else str(c) for i, c in enumerate(cells)])
        self.rows: dict[str, np.ndarray] = {}
        self.vectors: dict[str, np.ndarray] = {}
        for m, column in self.items.items():
            where = given(column)
            if not len(where):
                continue
            done = space.encode_items([column[i] for i in where], m, on_error=on_error, cache=cache)
            at = where[np.asarray(done.kept, np.int64)]
            if len(at):
                first = distinct_rows(done.vectors, things[at])
                self.rows[m], self.vectors[m] = at[first], done.vectors[first]
        self.things = {m: things[at] for m, at in self.rows.items()}
        self.classes = {} if classes is None else {m: classes[at] for m, at in self.rows.items()}

    def subject(self, *, training: Subject | None = None, earlier: Subject | None = None) -> Subject:
        """Return all that is known of the rows."""
        return Subject(
            self.vectors,
            things=self.things,
            classes=self.classes,
            items={m: [self.items[m][i] for i in at] for m, at in self.rows.items()},
            names={m: [f"row {i}" for i in at] for m, at in self.rows.items()},
            training=training,
            earlier=earlier,
            kinds=self.kinds,
            about={"space": self.space.id, "rows of the table": len(self.source)},
        )


def _things(
    source: Table, group: str | Sequence[Any] | None, first: str, items: Sequence[Any], kinds: Mapping[str, str]
) -> np.ndarray:
    """Return (n,) str: what each row shows; by content, so that labels of two tables can be compared."""
    if group is None:
        return np.array([_content(item, kinds[first], i) for i, item in enumerate(items)])
    values = list(source[group]) if isinstance(group, str) else list(group)
    if len(values) != len(source):
        raise BadInput(f"group has {len(values)} labels for {len(source)} rows")
    return np.array([f"row {i}" if v is None else f"label {v}" for i, v in enumerate(values)])


def _content(item: Any, kind: str, row: int) -> str:
    try:
        return f"row {row}" if item is None else f"item {item_digest(item, kind)}"
    except (BadInput, OSError):
        return f"row {row}"  # an unreadable item is reported where it is encoded


class Examined:
    """What a space can be asked about its health."""

    def doctor(
        self: Any,
        table: Any,
        *,
        findings: Sequence[Any] | None = None,
        treat: bool | Sequence[Any] = False,
        random_state: int = 0,
        progress: bool = True,
        **options: Any,
    ) -> CheckUp:
        """Look for what is wrong with the space on a table, best one that was not trained on.

        Parameters
        ----------
        table : table-like
            One row is one thing seen in several modalities.
        findings, treat, random_state, progress : as in `commonspace.judge.doctor.check_up`
        **options : as in `commonspace.judge.spaces.subject_of`
            ``columns``, ``group``, ``class_column``, ``training``, ``earlier``, ``on_error``, ``cache``.
        """
        from commonspace.judge.doctor import check_up

        subject = subject_of(self, table, **options)
        return check_up(subject, findings, treat=treat, random_state=random_state, progress=progress)
