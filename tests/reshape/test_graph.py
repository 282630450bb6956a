import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix

from commonspace.core.errors import BadInput
from commonspace.reshape.graph import read_graph


def dense(graph, n=4, weights=None):
    return read_graph(graph, n, weights).toarray()


def test_an_edge_counts_once_however_it_is_listed():
    want = np.zeros((4, 4))
    want[0, 1] = want[1, 0] = want[2, 3] = want[3, 2] = 1
    for edges in ([[0, 1], [2, 3]], [[1, 0], [0, 1], [0, 1], [3, 2]], np.array([[0, 1], [3, 2], [1, 1]], np.uint8)):
        np.testing.assert_array_equal(dense(edges), want)


def test_a_matrix_keeps_its_strengths_and_the_larger_of_both_directions():
    one_way = coo_array(([2.0, 0.5, 3.0, 9.0], ([0, 1, 2, 3], [1, 0, 3, 3])), shape=(4, 4))
    want = np.zeros((4, 4))
    want[0, 1] = want[1, 0] = 2
    want[2, 3] = want[3, 2] = 3
    for kind in (coo_array, csr_array, csr_matrix):
        np.testing.assert_array_equal(dense(kind(one_way)), want)
    assert one_way.toarray()[3, 3] == 9  # what was given stays as it was


def test_relations_add_up_by_their_weights():
    graph = {"is a": [[0, 1]], "part of": [[1, 0], [1, 2]], "other": np.zeros((0, 2), int)}
    found = dense(graph, weights={"part of": 0.25})
    assert found[0, 1] == found[1, 0] == 1.25
    assert found[1, 2] == 0.25
    assert read_graph(graph, 4, {"part of": 0}).nnz == 2


def test_no_edges_are_a_graph():
    assert not dense([]).any()
    assert not dense({}).any()


@pytest.mark.parametrize(
    ("graph", "weights", "says"),
    [
        ([[0, 4]], None, r"links rows \[0, 4\]"),
        ([[-1, 2]], None, "rows 0 to 3"),
        ([[0.0, 1.0]], None, "integer array"),
        ([[0, 1, 2]], None, "shape"),
        ({"a": [[0, 9]]}, None, "graph\\['a'\\]"),
        (csr_array((3, 3)), None, r"\(4, 4\)"),
        (csr_array(-np.eye(4)), None, "negative"),
        (csr_array(np.nan * np.eye(4)), None, "NaN"),
        ([[0, 1]], {"a": 1}, "relations"),
        ({"a": [[0, 1]]}, {"b": 1}, "'b'"),
        ({"a": [[0, 1]]}, {"a": -1}, "at least 0"),
    ],
)
def test_bad_input_is_named(graph, weights, says):
    with pytest.raises(BadInput, match=says):
        read_graph(graph, 4, weights)
