"""One engine in one process: built there, measured there, asked over a pipe, and stopped while others are asked.

A process of its own gives each engine its own thread pools and an honest count of its memory, and a crash ends one
line of the comparison instead of all. Between its turns the process is stopped by a signal, so that no pool that
still spins and no job in the background takes time from the engine whose turn it is.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import multiprocessing
import os
import shutil
import signal
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from bench.search.peers.base import Unsupported, Variant

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "LANCE_CPU_THREADS",
)


REHEARSED = 10_000  # rows of the build before the one that counts


class Failed(RuntimeError):
    """The engine raised an error or its process ended; the message is the cause."""


def memory() -> dict[str, int]:
    """Return the resident bytes of this process: its own and those of mapped files.

    Read from the system's book on Linux. Freed pages are given back first, as far as the C library can.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    table = {line.split(":")[0]: line.split() for line in lines}
    return {"own": int(table["RssAnon"][1]) * 1024, "mapped": int(table["RssFile"][1]) * 1024}


def serve(pipe: Connection, variant: Variant, threads: int, corpus: Path, fields: Path | None, train: Path) -> None:
    """Build the engine and answer calls until the pipe closes."""
    folder = Path(tempfile.mkdtemp(prefix="bench-search-"))
    try:
        engine = variant.engine(**variant.options, threads=threads, folder=folder)
        pipe.send(("ok", _build(engine, variant, threads, corpus, fields, train)))
        while True:
            name, arguments = pipe.recv()
            try:
                pipe.send(("ok", _call(engine, variant, name, arguments)))
            except Unsupported:
                pipe.send(("unsupported", name))
            except Exception:
                pipe.send(("error", traceback.format_exc(limit=3)))
    except EOFError:
        pass
    except BaseException:
        pipe.send(("error", traceback.format_exc(limit=3)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(
    engine: Any, variant: Variant, threads: int, corpus: Path, fields: Path | None, train: Path
) -> dict[str, Any]:
    """Build from mapped vectors and queries, so that the input is not counted as the engine's own memory."""
    import importlib

    importlib.import_module(engine.package)
    X = np.load(corpus, mmap_mode="r")
    columns = dict(np.load(fields)) if fields else {}
    queries = np.load(train, mmap_mode="r")
    first = memory()
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        small = _rehearsed(variant, threads, Path(folder), X, columns, queries)
        before = memory()
        start = perf_counter()
        engine.build(np.asarray(X), columns, queries)
        seconds = perf_counter() - start
        del X, columns, queries
        after = memory()
        del small
    grown = {f"{k}_bytes": max(0, after[k] - before[k]) for k in after}
    return {"build_seconds": seconds, "once_bytes": max(0, before["own"] - first["own"]), **grown}


def _rehearsed(
    variant: Variant, threads: int, folder: Path, X: np.ndarray, columns: dict[str, np.ndarray], queries: np.ndarray
) -> Any:
    """Return the same engine over a few rows, so that what a process has once is there before memory is counted.

    Work space of threads, compiled code and the like take up to 100 MB, however many rows there are. The engine must be
    kept until the other is built, or its memory would be used again and not be counted.
    """
    few = min(REHEARSED, len(X))
    with contextlib.suppress(Exception):
        engine = variant.engine(**variant.options, threads=threads, folder=folder)
        engine.build(np.array(X[:few]), {name: mask[:few] for name, mask in columns.items()}, queries)
        return engine
    return None


def _call(engine: Any, variant: Variant, name: str, a: dict[str, Any]) -> Any:
    if name == "batch":
        start, cpu = perf_counter(), process_time()
        if variant.batch:
            ids = engine.search(a["Q"], a["k"], **a["knob"])
        else:
            ids = np.stack([engine.search_one(q, a["k"], **a["knob"]) for q in a["Q"]])
        return ids, perf_counter() - start, process_time() - cpu
    if name == "single":
        times, ids = [], []
        for q in a["Q"]:
            start = perf_counter()
            ids.append(engine.search_one(q, a["k"], **a["knob"]))
            times.append(perf_counter() - start)
        return np.stack(ids), np.array(times)
    if name == "filtered":
        start, cpu = perf_counter(), process_time()
        ids = engine.search_filtered(a["Q"], a["k"], a["name"], **a["knob"])
        return ids, perf_counter() - start, process_time() - cpu
    if name == "many":
        start, cpu = perf_counter(), process_time()
        ids = engine.search_many(a["Q"], a["k"], a["names"], **a["knob"])
        return ids, perf_counter() - start, process_time() - cpu
    if name == "loop":
        start, cpu = perf_counter(), process_time()
        asked = zip(a["Q"], a["names"], strict=True)
        ids = np.concatenate([engine.search_filtered(q[None], a["k"], one, **a["knob"]) for q, one in asked])
        return ids, perf_counter() - start, process_time() - cpu
    if name == "change":
        start = perf_counter()
        engine.delete(a["gone"])
        engine.upsert(a["ids"], a["X"])
        engine.settle()
        return perf_counter() - start
    if name == "size":
        return engine.size()
    if name == "how":
        return engine.how()
    return memory()


class Worker:
    """The other end: calls the engine in its process.

    Parameters
    ----------
    variant : Variant
    threads : int
    corpus, fields, train : Path
        ``.npy`` of the vectors, ``.npz`` of the bool columns (or None), ``.npy`` of the typical queries.
    timeout : float
        Seconds after which a call counts as failed.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        threads: int,
        corpus: Path,
        train: Path,
        fields: Path | None = None,
        timeout: float = 3600,
    ) -> None:
        self.variant, self.timeout = variant, timeout
        for name in THREAD_VARIABLES:
            os.environ[name] = str(threads)
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=serve, args=(other, variant, threads, corpus, fields, train), daemon=True
        )
        self._process.start()
        atexit.register(self.kill)  # a stopped process would not hear the polite end, and be waited for without end
        other.close()
        self.built: dict[str, Any] = self._answer()

    def call(self, what: str, /, **arguments: Any) -> Any:
        """Let the process run, ask, and stop it again.

        Raises
        ------
        Unsupported
            The engine has no such operation.
        Failed
            It raised, died or took too long.
        """
        self._signal(signal.SIGCONT)
        try:
            self._pipe.send((what, arguments))
        except OSError as e:
            raise Failed(f"the process of {self.variant.name} has ended") from e
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(self.timeout):
                self.close()
                raise Failed(f"{self.variant.name} took more than {self.timeout:g} s")
            state, value = self._pipe.recv()
        except (EOFError, OSError) as e:
            self._process.join(5)
            raise Failed(f"the process of {self.variant.name} ended with {self._process.exitcode}") from e
        self._signal(signal.SIGSTOP)
        if state == "unsupported":
            raise Unsupported(value)
        if state == "error":
            raise Failed(value)
        return value

    def _signal(self, number: int) -> None:
        if self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)

    def close(self) -> None:
        """End the process; its files go with it."""
        self._signal(signal.SIGCONT)
        self._pipe.close()
        self._process.join(10)
        self.kill()

    def kill(self) -> None:
        """End the process whatever its state."""
        atexit.unregister(self.kill)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
