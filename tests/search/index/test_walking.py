"""The compiled walk against a plain one."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.search.index.graph import halves

numba = pytest.importorskip("numba")
from commonspace.search.index import walking  # noqa: E402


def naive_walk(codes, heavy, links, entries, queries, beam):
    """The same walk with sorted lists of (-score, row)."""
    out = np.full((len(queries), beam), -1)
    w = codes.shape[1]
    for q, (low, high) in enumerate(queries[:, :, :w].astype(int)):
        scores = (codes & 15).astype(int) @ low + heavy * ((codes >> 4).astype(int) @ high)
        best = sorted((-scores[e], e) for e in entries)[: min(4, beam)]
        seen, done = {row for _, row in best}, set()
        while todo := [row for _, row in best if row not in done]:
            done.add(todo[0])
            new = [u for u in links[todo[0]] if u >= 0 and u not in seen]
            seen.update(new)
            best = sorted([*best, *((-scores[u], u) for u in dict.fromkeys(new))])[:beam]
        out[q, : len(best)] = [row for _, row in best]
    return out


def random_links(rng, n, degree):
    links = rng.integers(0, n, (n, degree)).astype(np.int32)
    links[np.arange(degree) >= rng.integers(0, degree + 1, n)[:, None]] = -1
    return links


@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 60), width=st.integers(1, 200), degree=st.integers(1, 20),
    beam=st.integers(1, 70), bits=st.sampled_from([4, 8]),
)  # fmt: skip
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_walk_visits_what_a_plain_one_visits(seed, n, width, degree, beam, bits):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, width)).astype(np.uint8)
    links = random_links(rng, n, degree)
    entries = np.sort(rng.choice(n, rng.integers(1, min(n, 9) + 1), replace=False)).astype(np.int32)
    queries = halves(rng.normal(size=(3, width * 8 // bits)).astype(np.float32), bits, width)
    found = np.empty((3, beam), np.int32)
    heavy = 1 if bits == 4 else 16
    walking.walk(codes, heavy, links, entries, queries, beam, found)
    np.testing.assert_array_equal(found, naive_walk(codes, heavy, links, entries, queries, beam))


@pytest.mark.parametrize("width", [1, 31, 63, 64, 65, 96, 128, 200])
def test_both_products_are_the_same_integers(width):
    """The last row too, behind whose end nothing may be read."""
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 256, (5, width)).astype(np.uint8)
    queries = halves(rng.normal(size=(2, 2 * width)).astype(np.float32), 4, width)
    here, plain = walking._score, walking._plain

    @numba.njit
    def of(codes, row, queries, query, heavy):
        return here(codes, row, queries, query, heavy), plain(codes, row, queries, query, heavy)

    for heavy in (1, 16):
        for row in range(5):
            want = (codes[row] & 15) @ queries[1, 0, :width].astype(int)
            want += heavy * ((codes[row] >> 4) @ queries[1, 1, :width].astype(int))
            assert of(codes, row, queries, 1, np.int32(heavy)) == (want, want)


def test_a_map_of_a_file_is_walked_as_it_lies(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "codes": rng.integers(0, 256, (40, 10)).astype(np.uint8), "links": random_links(rng, 40, 5),
        "entries": np.arange(3, dtype=np.int32),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    queries = halves(rng.normal(size=(2, 20)).astype(np.float32), 4, 10)
    found = [np.empty((2, 8), np.int32) for _ in range(2)]
    for made, a in zip(found, (arrays, mapped), strict=True):
        walking.walk(a["codes"], 1, a["links"], a["entries"], queries, 8, made)
    np.testing.assert_array_equal(*found)


def test_what_was_compiled_is_loaded_by_other_processes():
    code = "from commonspace.search.index import walking; assert not walking.walk.stats.cache_misses"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("variable", "value", "loads"), [("NUMBA_DISABLE_JIT", "1", False), ("NUMBA_CPU_NAME", "generic", True)]
)
def test_what_numba_is_told_is_heeded(variable, value, loads, tmp_path):
    code = (
        "import warnings; warnings.simplefilter('ignore'); from commonspace.search.index import graph\n"
        f"assert graph.load() is {loads}\n"
        "if graph.load():\n"
        "    from commonspace.search.index import walking; assert walking._score is walking._plain\n"
    )
    env = {**os.environ, variable: value, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=env)
