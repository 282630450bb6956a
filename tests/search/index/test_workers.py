import os
import signal
import threading
import time

import faiss
import numpy as np
import pytest

from commonspace.search.index import workers
from commonspace.search.index.workers import by_blocks, each, threads


def test_work_is_done_in_order_by_threads_that_leave_the_number_of_threads_as_it_was():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    assert each(lambda i: (i, torch.get_num_threads()), range(20), 3) == [(i, 1) for i in range(20)]
    assert each(lambda i: i, range(3), 1) == [0, 1, 2]
    assert torch.get_num_threads() == before


def test_an_error_of_one_is_an_error_of_all():
    with pytest.raises(ZeroDivisionError):
        each(lambda i: 1 // i, [3, 2, 1, 0], 2)


def test_after_an_error_nothing_more_is_begun():
    begun = []

    def work(i):
        begun.append(i)
        time.sleep(0.01)
        if i == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each(work, range(50), 2)
    after = len(begun)
    assert after < 10
    time.sleep(0.1)
    assert len(begun) == after


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that stands for Ctrl-C here")
def test_after_an_interrupt_nothing_more_is_begun_and_what_is_begun_has_ended():
    # A shell makes its background processes deaf to Ctrl-C; the test is about those that hear it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun, ended = [], []

    def work(i):
        begun.append(i)
        if i == 2:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        ended.append(i)

    try:
        with pytest.raises(KeyboardInterrupt):
            each(work, range(100), 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) == len(ended) < 20
    assert each(lambda i: i, range(4), 2) == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [1, 3])
def test_as_many_threads_work_as_openmp_is_told(n):
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n)
    try:
        assert threads() == n
    finally:
        faiss.omp_set_num_threads(before)


@pytest.fixture
def numbers():
    """How many threads each OpenBLAS has: two before the test, whatever the environment says."""
    libraries = workers._openblas()
    if not libraries:
        pytest.skip("NumPy's products are not those of an OpenBLAS with threads of its own")
    before = [one.get_num_threads() for one in libraries]
    for one in libraries:
        one.set_num_threads(2)
    yield lambda: [one.get_num_threads() for one in libraries]
    for one, n in zip(libraries, before, strict=True):
        one.set_num_threads(n)


@pytest.mark.parametrize("n", [0, 1, 512, 1300])
def test_blocks_make_what_the_whole_makes(n):
    X = np.random.default_rng(0).normal(size=(n, 7)).astype(np.float32)
    W = np.ones((7, 3), np.float32)
    np.testing.assert_allclose(by_blocks(lambda part: part @ W, X), X @ W, rtol=1e-5, atol=1e-5)


def test_blas_is_alone_in_the_blocks_and_as_before_afterwards_whatever_happens(numbers):
    before, seen = numbers(), []
    assert set(before) == {2}
    by_blocks(lambda part: (seen.append(numbers()), part)[1], np.ones((3000, 2), np.float32))
    assert seen
    assert all(n == 1 for inside in seen for n in inside)
    with pytest.raises(ZeroDivisionError):
        by_blocks(lambda part: part[: 1 // 0], np.ones((1, 2), np.float32))
    assert numbers() == before


def test_searches_that_overlap_put_the_threads_of_blas_back_together(numbers):
    before, met, inside = numbers(), threading.Barrier(2), []

    def meet(part):
        met.wait(10)  # both are inside now; whoever leaves first must not take the other's place
        inside.append(numbers())
        return part

    both = [threading.Thread(target=by_blocks, args=(meet, np.ones((2, 2), np.float32))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(inside) == 2
    assert numbers() == before
