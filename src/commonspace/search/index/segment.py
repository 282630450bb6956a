"""A segment: the vectors of one committed version in a form that is searched fast. It never changes.

    codes.npy       one short row a vector, the vectors of a cell next to each other     read by every search
    vectors.npy     the full vectors in the same order, float32                          a few rows a query, from disk
    origin.npy      which file of the item table a vector came from, and its place there
    gone.npy        the places of those files that were deleted already
    starts.npy      where the cells begin
    means.npy       their mean vectors
    links.npy       rows that each row leads to                                          read by walks; may be missing
    entries.npy     rows from which walks begin                                          likewise
    segment.json, code.safetensors      the fitted code

The arrays are memory-mapped: a segment takes the memory of what is touched, which the operating system may take back.
Nothing is pickled, and whoever opens one has compared the folder with its digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from commonspace.core import progress as bars
from commonspace.core.errors import Corrupt
from commonspace.core.protocols import Code
from commonspace.core.registry import check_restorable, describe, restore
from commonspace.search.index import graph as graphs
from commonspace.search.index.arranging import arrange
from commonspace.search.index.graph import Graph
from commonspace.search.index.rerank import rerank
from commonspace.search.index.shortlist import Cells, Coded, shortlist

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BLOCK = 8192  # vectors encoded or copied at once
_SAMPLE = 8192  # vectors whose scores tell what a good score is
_LINKED = ("links", "entries")  # arrays that a segment may lack


@dataclass(frozen=True)
class Origin:
    """Where the vectors of a segment came from.

    Parameters
    ----------
    files : tuple of str
        Files of the item table that held the column.
    file : (n,) int32
        Which of them a vector was in.
    place : (n,) int32
        Its row there, deleted ones counted.
    gone : (g, 2) int32
        File and place of the rows that were deleted when the segment was built. A version in which one of them is
        back, because an earlier one was restored, cannot have that file from the segment.
    """

    files: tuple[str, ...]
    file: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    gone: npt.NDArray[np.int32]


class Segment:
    """An opened segment.

    Parameters
    ----------
    coded : Coded
        The codes, in cells.
    vectors : (n, dim) float32
        The full vectors in the same order.
    origin : Origin
        Where they came from.
    graph : Graph, optional
        Links between the rows, for walks.
    """

    def __init__(self, coded: Coded, vectors: Floats, origin: Origin, graph: Graph | None = None) -> None:
        self.coded = coded
        self.vectors = vectors
        self.origin = origin
        self.graph = graph

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self.vectors.shape[1])

    @cached_property
    def width(self) -> int:
        """Numbers in an expanded code."""
        return int(self.coded.code.prepare(np.zeros((1, self.dim), np.float32)).shape[1])

    @property
    def bytes_in_memory(self) -> int:
        """Bytes that a search of all cells touches, the few full vectors of shortlists left out."""
        cells = self.coded.cells
        links = 0 if self.graph is None else self.graph.links.nbytes + self.graph.entries.nbytes
        return int(self.coded.rows.nbytes + cells.starts.nbytes + cells.means.nbytes + links)

    def search(
        self,
        queries: Floats,
        k: int,
        *,
        shortlisted: int,
        probes: int | None = None,
        keep: Mask | None = None,
        apart: bool = False,
    ) -> tuple[Ints, Floats]:
        """Return places of the k best vectors of each query, best first, and their exact scores.

        Parameters
        ----------
        queries : (q, dim) float32
            The queries.
        k : int
            At least 1.
        shortlisted : int
            Vectors a query whose exact scores are computed; raised to k.
        probes : int, optional
            Cells to look at; all by default.
        keep : (n,) bool, optional
            Vectors that take part.
        apart : bool
            Whether each of many queries finds what it would find alone, and not more; see `shortlist`.

        Returns
        -------
        places : (q, k) int64
            -1 where there are fewer.
        scores : (q, k) float32
            -inf where there are fewer.
        """
        c = max(k, shortlisted)
        least = None if apart else k
        rows, _ = shortlist(self.coded, queries, c, probes=probes, keep=keep, least=least, apart=apart)
        return rerank(queries, self.vectors, rows, k)

    def walk(self, queries: Floats, k: int, *, beam: int, keep: Mask | None = None) -> tuple[Ints, Floats]:
        """Return what `search` does, found by walking over the graph.

        Parameters
        ----------
        queries : (q, dim) float32
            The queries.
        k : int
            At least 1.
        beam : int
            Rows kept while walking; raised to k. Those that take part are re-ranked.
        keep : (n,) bool, optional
            Vectors that take part. Walks lead over the others, too.

        Raises
        ------
        ValueError
            If the segment has no graph.
        """
        if self.graph is None:
            raise ValueError("the segment has no graph")
        rows = graphs.search(self.coded, self.graph, queries, max(k, beam))
        if keep is not None:
            rows[~keep[rows]] = -1
        return rerank(queries, self.vectors, rows, k)

    def linked(self, degree: int, queries: Floats | None = None, *, progress: bool = True) -> Self:
        """Link the vectors, as `build` is told to; return the segment."""

        def nearest(asked: Floats, k: int, shortlisted: int, probes: int | None) -> Ints:
            return self.search(asked, k, shortlisted=shortlisted, probes=probes)[0]

        if degree >= 2 and self.coded.code.packing is not None and graphs.load():
            self.graph = graphs.link(self.coded, self.vectors, nearest, queries, degree=degree, progress=progress)
        return self

    def save(self, folder: Path) -> None:
        """Write the segment into an empty folder, unless `build` has done so."""
        cells, described = self.coded.cells, describe(self.coded.code)
        arrays: dict[str, npt.NDArray[Any]] = {
            "codes": self.coded.rows, "vectors": self.vectors, "starts": cells.starts, "means": cells.means,
            "origin": np.stack([self.origin.file, self.origin.place]), "gone": self.origin.gone,
        }  # fmt: skip
        if self.graph is not None:
            arrays |= {"links": self.graph.links, "entries": self.graph.entries}
        for name, array in arrays.items():
            if not (folder / f"{name}.npy").exists():
                np.save(folder / f"{name}.npy", array, allow_pickle=False)
        save_file(self.coded.code.split_state()[1], folder / "code.safetensors")
        text = {"code": described, "files": list(self.origin.files), "rows": len(self), "dim": self.dim}
        (folder / "segment.json").write_text(json.dumps(text, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Segment:
        """Open a saved segment.

        Raises
        ------
        Corrupt
            If a file is missing or does not fit the others.
        """
        try:
            text = json.loads((folder / "segment.json").read_text())
            linked = (folder / "links.npy").exists()
            arrays = {  # as plain arrays on the maps: rows of a `memmap` take 20 us more to pick
                name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
                for name in ("codes", "vectors", "starts", "means", "origin", "gone", *_LINKED[: 2 * linked])
            }
            code = restore("Code", text["code"], load_file(folder / "code.safetensors"))
            n = int(text["rows"])
            cells = Cells(arrays["starts"], arrays["means"])
            coded = Coded(code, arrays["codes"], cells, sample(n))
            file, place = arrays["origin"]
            graph = Graph(arrays["links"], np.array(arrays["entries"])) if linked else None
            found = cls(coded, arrays["vectors"], Origin(tuple(text["files"]), file, place, arrays["gone"]), graph)
            found._check(n, int(text["dim"]))
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise Corrupt(f"the segment in {folder} cannot be read: {e}") from None
        return found

    def _check(self, n: int, dim: int) -> None:
        """Raise `ValueError` unless the parts fit each other: a wrong shape would be read beyond its end."""
        cells, file, place = self.coded.cells, self.origin.file, self.origin.place
        width = self.coded.code.bytes_per_vector
        shapes = [self.vectors.shape, self.coded.rows.shape, cells.means.shape, cells.starts.shape]
        if shapes != [(n, dim), (n, width), (len(cells), dim), (len(cells) + 1,)] or not len(file) == len(place) == n:
            raise ValueError(f"arrays of shapes {shapes} do not make {n} vectors of {dim} dimensions")
        if file.min(initial=0) < 0 or file.max(initial=0) >= len(self.origin.files) or place.min(initial=0) < 0:
            raise ValueError("a vector comes from no file that it names")
        if cells.starts[0] != 0 or cells.starts[-1] != n or (np.diff(cells.starts) < 0).any():
            raise ValueError("its cells do not cover it")
        if self.graph is not None:
            self.graph.check(n)


def build(
    vectors: Floats,
    origin: Origin,
    code: Code,
    *,
    folder: Path | None = None,
    leaves: Ints | None = None,
    cells: int | None = None,
    degree: int = 0,
    queries: Floats | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> Segment:
    """Return a segment of vectors, coded by a fitted code.

    Parameters
    ----------
    vectors : (n, dim) float32
        The vectors; n at least 1.
    origin : Origin
        Where each came from, in the order of `vectors`.
    code : Code
        Fitted.
    folder : Path, optional
        An empty folder to write to; the large arrays are then written block by block and mapped.
    leaves : (n,) int64, optional
        Numbers from 0: vectors of the same one are kept together, see `layout`; no cell has vectors of two.
    cells : int, optional
        Groups of similar vectors; sqrt(n) by default, and fewer for few vectors.
    degree : int
        Links of a vector to others, at most; fewer than 2 for none. They need Numba and a packed code, and are left
        out without.
    queries : (m, dim) float32, optional
        Typical queries, from which links are learned.
    random_state : int
        Seed of k-means.
    progress : bool
        Show progress bars on terminals.

    Raises
    ------
    BadInput
        A code that nobody could open again, because it is not registered.
    """
    check_restorable("Code", code)
    n, dim = vectors.shape
    order, groups = arrange(vectors, cells, leaves=leaves, random_state=random_state, progress=progress)
    rows = _room(folder, "codes", (n, code.bytes_per_vector), np.uint8)
    ordered = _room(folder, "vectors", (n, dim), np.float32)
    with bars.task("Encoding vectors", total=n) if progress else bars.silent() as bar:
        for i in range(0, n, _BLOCK):
            block = vectors[order[i : i + _BLOCK]]
            ordered[i : i + len(block)] = block
            rows[i : i + len(block)] = code.encode(block)
            bar.advance(len(block))
    coded = Coded(code, rows, groups, sample(n))
    found = Segment(coded, ordered, Origin(origin.files, origin.file[order], origin.place[order], origin.gone))
    found.linked(degree, queries, progress=progress)
    if folder is not None:
        for array in (rows, ordered):
            array.flush()
        found.save(folder)
    return found


def _room(folder: Path | None, name: str, shape: tuple[int, int], kind: Any) -> Any:
    if folder is None:
        return np.empty(shape, kind)
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape)


def sample(n: int) -> Ints:
    """Return rows drawn at random, ascending; the same for the same n."""
    if n <= _SAMPLE:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).choice(n, _SAMPLE, replace=False))
