"""Threads that share the work of one search. Each computes alone: torch and FAISS start none of their own there.

Products of a few hundred rows lose more by waiting for each other at the end than they gain by being split.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import faiss
import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

Floats = npt.NDArray[np.float32]

T = TypeVar("T")
R = TypeVar("R")

_BLOCK = 512  # rows that one thread takes at once
_WAKE = 0.1  # seconds after which an interrupt is seen at the latest
_lock = threading.Lock()
_inside = 0  # searches that want NumPy's BLAS alone now
_before: list[int] = []  # its numbers of threads before the first of them


def threads() -> int:
    """Return how many threads may work at once; OMP_NUM_THREADS says so."""
    return int(faiss.omp_get_max_threads())


def each(work: Callable[[T], R], over: Iterable[T], workers: int) -> list[R]:
    """Return what the work makes of each, in order; every thread takes the next one when it is done with its last.

    After an error or an interrupt nothing more is begun, and what is being done is waited for.
    """
    todo = list(over)
    if workers < 2 or not todo:  # even a single one goes to a thread: here torch would split it and keep a core waiting
        return [work(one) for one in todo]
    done: list[R | None] = [None] * len(todo)
    numbers, lock = iter(range(len(todo))), threading.Lock()

    def run() -> None:
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            try:
                done[i] = work(todo[i])
            except BaseException:
                stop()
                raise

    def stop() -> None:
        with lock:
            for _ in numbers:
                pass

    pool = _pool(workers, _torch() is not None)
    running: list[Future[None]] = []
    try:
        running += (pool.submit(run) for _ in range(min(workers, len(todo))))
        while wait(running, timeout=_WAKE).not_done:  # a signal that another thread gets does not end a wait
            pass
    except BaseException:
        stop()
        wait(running)
        raise
    for future in running:
        future.result()
    return cast(list[R], done)


def by_blocks(work: Callable[[Floats], Floats], rows: Floats) -> Floats:
    """Return what the work makes of all rows (n, dim), block by block in several threads, BLAS alone in each.

    OpenBLAS would share out even small products, and each of its threads then keeps a core busy for some 30 ms,
    waiting for more: longer than many a batch of queries takes.
    """
    blocks = [rows[i : i + _BLOCK] for i in range(0, max(1, len(rows)), _BLOCK)]
    with _blas_alone():
        made = each(work, blocks, threads() if len(blocks) > 1 else 1)
    return made[0] if len(made) == 1 else np.concatenate(made)


@contextmanager
def faiss_alone() -> Iterator[None]:
    """Let FAISS work in the thread that asks: its own threads keep a core busy for a while, waiting for more."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _blas_alone() -> Iterator[None]:
    """Let NumPy's products stay in the thread that asks, if they are OpenBLAS's with threads of its own.

    Its number of threads belongs to the process. The first to come sets it and the last to go puts it back.
    """
    global _inside, _before
    libraries = _openblas()
    with _lock:
        if _inside == 0:
            _before = [one.get_num_threads() for one in libraries]
            for one in libraries:
                one.set_num_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for one, number in zip(libraries, _before, strict=True):
                    one.set_num_threads(number)


@cache
def _openblas() -> list[Any]:
    """Return the OpenBLAS libraries that have threads of their own; those on OpenMP do as `_pool` tells that."""
    found = ThreadpoolController().select(internal_api="openblas").lib_controllers
    return [one for one in found if one.threading_layer == "pthreads"]


def _torch() -> Any:
    """Return torch if somebody has imported it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "set_num_threads") else None


@cache
def _pool(workers: int, with_torch: bool) -> ThreadPoolExecutor:
    """Return threads in each of which torch and FAISS run alone.

    The number of threads is one for each thread that asks torch for it, but torch also takes the last number asked for
    as the default of threads to come, so it is put back.
    """
    torch = _torch() if with_torch else None
    before = torch.get_num_threads() if torch else 0
    ready = threading.Barrier(workers + 1)

    def alone() -> None:
        faiss.omp_set_num_threads(1)
        if torch:
            torch.get_num_threads()  # a thread takes over the default at its first question, and never again
            torch.set_num_threads(1)
        ready.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="commonspace-search", initializer=alone)
    for _ in range(workers):
        pool.submit(time.sleep, 0)
    ready.wait()
    if torch:
        torch.set_num_threads(before)
    return pool
