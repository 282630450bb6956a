import numpy as np
import pytest
import scipy.sparse as sp

from commonspace.core.errors import BadInput
from commonspace.measure import Relevance


def test_dense_sparse_and_keys_say_the_same():
    asked, held = np.array(["b", "x", "a"]), np.array(["a", "b", "a", "c"])
    dense = (asked[:, None] == held).astype(float)
    for source in (dense, sp.csr_array(dense), sp.coo_array(dense), (asked, held), (list(asked), list(held))):
        np.testing.assert_array_equal(Relevance.of(source).dense(0, 3), dense)
        np.testing.assert_array_equal(Relevance.of(source).dense(2, 3), dense[2:])


def test_grades_survive_and_stored_zeros_are_not_relevant():
    graded = sp.csr_array((np.array([2.0, 0.0, 0.5]), ([0, 0, 1], [1, 2, 0])), shape=(2, 3))
    query, item, grade = Relevance.of(graded).block(0, 2)
    assert (query.tolist(), item.tolist(), grade.tolist()) == ([0, 1], [1, 0], [2.0, 0.5])


def test_an_item_does_not_answer_itself_when_it_is_left_out():
    keys = np.array([1, 1, 2])
    np.testing.assert_array_equal(
        Relevance.of((keys, keys)).without_self().dense(0, 3), [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    )


def test_keys_are_not_expanded_before_a_block_is_read():
    n = 200_000
    relevance = Relevance.of((np.zeros(n, int), np.zeros(n, int)))  # 4e10 pairs
    assert len(relevance.block(7, 8)[1]) == n


def test_empty_keys_are_fine():
    assert Relevance.of(([], ["a"])).dense(0, 0).shape == (0, 1)
    assert Relevance.of((["a"], [])).dense(0, 1).shape == (1, 0)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ((["1", "2"], [1, 2]), "no key could ever be equal"),
        (([1.0, np.nan], [1, 2]), "NaN"),
        ((np.array(["a", None], object), np.array(["a"], object)), "one kind"),
        (([[1]], [1]), "one-dimensional"),
        (([1], [1], [1]), "query_keys, gallery_keys"),
        (np.zeros(3), "shape"),
    ],
)
def test_bad_relevance_is_named(source, says):
    with pytest.raises(BadInput, match=says):
        Relevance.of(source)


def test_keys_held_as_python_objects_are_compared_with_keys_held_as_strings():
    np.testing.assert_array_equal(Relevance.of((np.array(["b"], object), np.array(["a", "b"]))).dense(0, 1), [[0, 1]])
