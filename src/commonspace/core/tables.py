"""Tables in and out: whatever users hold their rows in comes in, and the same kind goes out.

Accepted: a list of dicts, a dict of columns, a NumPy array (structured, or (n, d) as one column ``vector``), pandas,
polars and any other eager frame narwhals knows, an Arrow table or record batch, a Hugging Face dataset, and a path
that ends in .parquet, .csv, .tsv, .jsonl, .ndjson or .json. Cells may be any Python object (a PIL image, an array).

Ids are kept exactly. In a .csv or .tsv file, which has no types, a column becomes numbers or booleans only if every
filled cell is spelt as one without loss: a column with ``007``, ``+7`` or more digits than a number holds stays text,
and so do dates. An empty cell is None; so are NA, NaN and null in a column of numbers, but not in one of text.
The row index of a pandas frame is not a column: call ``reset_index()`` to keep it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.formats import DELIMITERS, json_line, read_csv, read_json, read_json_lines
from commonspace.core.registry import need

Column = Sequence[Any] | np.ndarray
SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Table:
    """Named columns of equal length that remember what they came from.

    Parameters
    ----------
    columns : dict of str to sequence or (n, ...) array
        The columns in order.
    kind : str
        ``"list"``, ``"columns"``, ``"numpy"``, ``"pandas"``, ``"polars"``, ``"arrow"``, ``"batch"`` (an Arrow
        record batch), ``"datasets"`` or the suffix of a file.
    base : Path, optional
        Folder of the file the table was read from; relative paths in cells are looked up there too.
    """

    columns: Mapping[str, Column]
    kind: str = "columns"
    base: Path | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(c) for name, c in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise BadInput(f"all columns of a table must have one length, got {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Column:
        """Return a column, or raise `NotFound` naming those there are."""
        if name not in self.columns:
            raise NotFound(f"the table has no column {name!r}; it has {', '.join(self.columns) or 'none'}")
        return self.columns[name]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as dicts."""
        for i in range(len(self)):
            yield {name: column[i] for name, column in self.columns.items()}

    def take(self, index: Sequence[int] | np.ndarray) -> Table:
        """Return the rows at these positions (or where a mask is true), in this order."""
        positions = np.arange(len(self))[np.asarray(index) if len(index) else slice(0)]
        return replace(self, columns={n: _take(c, positions) for n, c in self.columns.items()})

    def with_columns(self, **columns: Column) -> Table:
        """Return the table with columns added or replaced."""
        return replace(self, columns={**self.columns, **columns})

    def to_native(self, kind: str | None = None) -> Any:
        """Return the table as the kind it came from, or as another one.

        A table that came from a file goes out as Arrow; `write_table` writes files. An (n, d) array that gained
        other columns goes out as a structured array.
        """
        kind = kind or self.kind
        if kind == "list":
            return [{k: _plain(v) for k, v in row.items()} for row in self.rows()]
        if kind == "columns":
            return dict(self.columns)
        if kind == "numpy":
            return _to_numpy(self)
        if kind == "pandas":
            return need("pandas").DataFrame({n: _cells(c) for n, c in self.columns.items()})
        if kind == "polars":
            return need("polars").DataFrame(dict(self.columns), strict=False)
        if kind == "datasets":
            return need("datasets").Dataset.from_dict({n: _cells(c) for n, c in self.columns.items()})
        table = to_arrow(self)
        if kind == "batch":
            return need("pyarrow").RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())
        return table


def read_table(source: Any) -> Table:
    """Return any supported tabular source as a `Table`.

    Raises
    ------
    NotFound
        If a path does not exist.
    BadInput
        If the source is of an unknown kind, cannot be parsed or has ragged columns.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source))
    module = type(source).__module__.split(".")[0]
    if module == "datasets" and hasattr(source, "column_names"):
        return _from_dataset(source)
    if isinstance(source, Mapping):
        return _from_columns(source)
    if isinstance(source, np.ndarray):
        return _from_numpy(source)
    if module == "pyarrow":
        return _from_arrow(source)
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray | memoryview):
        return _from_rows(source)
    return _from_frame(source)


def write_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table to a file that `read_table` can read, whole or not at all.

    Lists become JSON text in .csv and .tsv; NaN becomes null in JSON, which has no other word for it.

    Raises
    ------
    BadInput
        If the ending is unknown or the format cannot hold a cell.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(f"cannot write {target.name!r}: the name must end in {', '.join(SUFFIXES)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if suffix == ".parquet":
            need("pyarrow.parquet").write_table(to_arrow(table), part)
        elif suffix in (".csv", ".tsv"):
            csv = need("pyarrow.csv")
            csv.write_csv(to_arrow(_flat(table)), part, csv.WriteOptions(delimiter=DELIMITERS[suffix]))
        else:
            rows = enumerate(table.rows())
            lines = (json_line({k: none_for_nan(v) for k, v in row.items()}, i) for i, row in rows)
            with open(part, "w", encoding="utf-8") as f:
                if suffix == ".json":
                    f.write("[" + ",\n".join(lines) + "]\n")
                else:
                    f.writelines(line + "\n" for line in lines)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def beside(value: Any, base: Path | None) -> Any:
    """Return a relative path that does not exist as it is, but does beside the table's file, as the latter."""
    if base is None or not isinstance(value, str) or Path(value).is_absolute() or Path(value).exists():
        return value
    return str(base / value) if (base / value).exists() else value


def to_arrow(table: Table) -> Any:
    """Return the table as a `pyarrow.Table`; (n, d) arrays become fixed-size lists."""
    pa = need("pyarrow")
    arrays = {}
    for name, column in table.columns.items():
        try:
            if (
                isinstance(column, np.ndarray)
                and column.dtype.isnative
                and not column.dtype.hasobject
                and column.ndim < 3
            ):
                flat = pa.array(np.ascontiguousarray(column).reshape(-1))
                one = column.ndim == 1
                arrays[name] = flat if one else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
            else:
                arrays[name] = pa.array([_plain(v) for v in column])
        except (pa.ArrowException, OverflowError) as e:
            raise BadInput(f"column {name!r} cannot be stored: {str(e).splitlines()[0]}") from None
    return pa.table(arrays)


def _read_file(path: Path) -> Table:
    suffix = path.suffix.lower()
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    if suffix not in SUFFIXES:
        raise BadInput(f"cannot read {path.name!r} as a table: the name must end in {', '.join(SUFFIXES)}")
    pa = need("pyarrow")
    try:
        if suffix == ".parquet":
            # A handle, not the path: the path of a file in a folder named x=1 would gain a column x.
            with open(path, "rb") as f:
                table = _from_arrow(need("pyarrow.parquet").read_table(f))
        elif suffix in (".csv", ".tsv"):
            table = _from_arrow(read_csv(path, DELIMITERS[suffix]))
        else:
            text = path.read_text(encoding="utf-8-sig")
            data = read_json(text) if suffix == ".json" else read_json_lines(text)
            table = _from_columns(data) if isinstance(data, dict) else _from_rows(data)
    except (BadInput, pa.ArrowException, UnicodeDecodeError, json.JSONDecodeError, OSError) as e:
        raise BadInput(f"cannot read {path} as {suffix[1:]}: {str(e).splitlines()[0]}") from None
    return replace(table, kind=suffix, base=path.parent)


def _from_columns(source: Mapping[Any, Any]) -> Table:
    return Table({str(k): _column(v, str(k)) for k, v in source.items()}, "columns")


def _from_rows(rows: Sequence[Any]) -> Table:
    names: dict[Any, None] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise BadInput(f"row {i} of the list is a {type(row).__name__}; a list of dicts is needed")
        names.update(dict.fromkeys(row))
    return Table({str(n): [row.get(n) for row in rows] for n in names}, "list")


def _from_numpy(a: np.ndarray) -> Table:
    if a.dtype.names:
        return Table({n: a[n] for n in a.dtype.names}, "numpy")
    if a.ndim == 2:
        return Table({"vector": a}, "numpy")
    raise BadInput(f"an array must be structured or of shape (n, d) to be a table, not {a.shape}")


def _from_arrow(source: Any) -> Table:
    pa = need("pyarrow")
    if not isinstance(source, pa.Table | pa.RecordBatch):
        raise BadInput(f"cannot read an Arrow {type(source).__name__} as a table: give a Table or a RecordBatch")
    batch = isinstance(source, pa.RecordBatch)
    table = pa.Table.from_batches([source]) if batch else source
    _check_names(table.column_names)
    columns = {n: _from_chunks(c, pa) for n, c in zip(table.column_names, table.columns, strict=True)}
    return Table(columns, "batch" if batch else "arrow")


def _from_chunks(column: Any, pa: Any) -> Column:
    """Return fixed-size lists of decimals as an (n, d) array, everything else as Python values."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type) and not column.null_count:
        flat = column.combine_chunks().flatten()
        if not flat.null_count:
            return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, kind.list_size)
    values: list[Any] = column.to_pylist()
    return values


def _from_frame(source: Any) -> Table:
    import narwhals as nw

    try:
        frame = nw.from_native(source, eager_only=True)
    except nw.exceptions.DuplicateError as e:
        raise BadInput(f"a table must not have two columns of one name: {' '.join(str(e).split())}") from None
    except TypeError:
        raise BadInput(
            f"cannot read a {type(source).__name__} as a table: give a list of dicts, a pandas, polars or Arrow "
            f"table, or the path of a {', '.join(SUFFIXES)} file"
        ) from None
    _check_names([str(n) for n in frame.columns])
    columns: dict[str, Column] = {}
    for name in frame.columns:
        cells = frame.get_column(name)
        if isinstance(cells.dtype, nw.Array) and not cells.null_count():
            columns[str(name)] = cells.to_numpy()
        else:
            columns[str(name)] = [none_for_nan(v) for v in cells.to_list()]
    return Table(columns, frame.implementation.name.lower())


def _from_dataset(source: Any) -> Table:
    if isinstance(source, Mapping) or not hasattr(source, "__len__"):  # a dict of splits, or a stream
        raise BadInput(f"a {type(source).__name__} is not one table in memory: pick a split or download it whole")
    rows = source[:]
    return Table({n: _column(rows[n], n) for n in source.column_names}, "datasets")


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise BadInput(f"a table must not have two columns of one name: {', '.join(map(repr, twice))}")


def _column(values: Any, name: str) -> Column:
    if isinstance(values, np.ndarray):
        return values
    unordered = isinstance(values, Mapping | AbstractSet)
    if unordered or isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise BadInput(f"column {name!r} must be a sequence of values, not {type(values).__name__}")
    return values if isinstance(values, Sequence) else list(values)


def _take(column: Column, positions: np.ndarray) -> Column:
    return column[positions] if isinstance(column, np.ndarray) else [column[int(i)] for i in positions]


def none_for_nan(value: Any) -> Any:
    """Return None for the ways to say that a cell is absent: NaN, and NaT and NA of pandas."""
    if isinstance(value, float | np.floating):
        return None if value != value else value
    return None if type(value).__name__ in ("NaTType", "NAType") else value


def _to_numpy(table: Table) -> np.ndarray:
    arrays = {n: np.asarray(_cells(c), dtype=None) for n, c in table.columns.items()}
    if list(arrays) == ["vector"] and arrays["vector"].ndim == 2:
        return arrays["vector"]
    out = np.empty(len(table), dtype=[(n, a.dtype, a.shape[1:]) for n, a in arrays.items()])
    for name, a in arrays.items():
        out[name] = a
    return out


def _cells(column: Column) -> Any:
    return list(column) if isinstance(column, np.ndarray) and column.ndim > 1 else column


def _plain(value: Any) -> Any:
    """Return NumPy scalars and arrays as Python values; everything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _flat(table: Table) -> Table:
    """Return the table with lists spelled as JSON, for formats without nesting."""
    columns = {
        n: [json.dumps(_plain(v)) if isinstance(_plain(v), list | dict) else v for v in c]
        for n, c in table.columns.items()
    }
    return replace(table, columns=columns)
