import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure.spaces.unit_clusters import cluster_units


def rows(strength, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(40, strength.shape[0])), rng.normal(size=(40, strength.shape[1]))


def test_parts_without_an_edge_between_them_are_clusters_in_any_order():
    rng = np.random.default_rng(0)
    sizes = [(4, 3), (2, 2), (1, 1), (1, 3)]
    blocks = [rng.uniform(0.3, 1, s) for s in sizes]
    strength = np.zeros((9, 10))  # one row and one column without any edge
    i = j = 0
    for block in blocks:
        strength[i : i + block.shape[0], j : j + block.shape[1]] = block
        i, j = i + block.shape[0], j + block.shape[1]
    p, q = rng.permutation(9), rng.permutation(10)
    found = cluster_units(strength[np.ix_(p, q)], *rows(strength))
    back = {(tuple(sorted(int(p[a]) for a in c.a)), tuple(sorted(int(q[b]) for b in c.b))) for c in found}
    assert back == {((0, 1, 2, 3), (0, 1, 2)), ((4, 5), (3, 4)), ((6,), (5,)), ((7,), (6, 7, 8))}
    assert [len(c.a) + len(c.b) for c in found] == sorted([7, 4, 2, 4], reverse=True)


def test_loosely_linked_blocks_are_told_apart():
    rng = np.random.default_rng(1)
    strength = 0.05 * rng.random((12, 12))
    for k in (0, 4, 8):
        strength[k : k + 4, k : k + 4] += rng.uniform(0.5, 1, (4, 4))
    found = cluster_units(strength, *rows(strength))
    assert {c.a for c in found} == {tuple(range(k, k + 4)) for k in (0, 4, 8)} == {c.b for c in found}


def test_no_edges_are_no_clusters_and_too_many_are_refused():
    assert cluster_units(np.zeros((3, 4)), *rows(np.zeros((3, 4)))) == ()
    with pytest.raises(BadInput, match="between 1 and the 3"):
        cluster_units(np.eye(3), *rows(np.eye(3)), number=4)
