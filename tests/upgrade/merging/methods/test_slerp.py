import numpy as np
import pytest
import torch

from commonspace.upgrade.merging.methods.slerp import Slerp, arc


def test_between_vectors_of_one_length_the_length_stays():
    T = np.eye(2) * 3
    for t in (0.1, 0.5, 0.8):
        c = arc(T @ T.T, [1 - t, t])
        assert np.linalg.norm(c @ T) == pytest.approx(3)
    np.testing.assert_allclose(arc(T @ T.T, [0.5, 0.5]), [np.sqrt(0.5)] * 2)


def test_the_angle_is_divided_by_the_weights():
    angle = 1.2
    T = np.array([[1, 0], [np.cos(angle), np.sin(angle)]])
    found = arc(T @ T.T, [0.75, 0.25]) @ T
    np.testing.assert_allclose(found, [np.cos(angle / 4), np.sin(angle / 4)])


def test_vectors_of_one_direction_are_averaged():
    T = np.array([[1.0, 0], [3.0, 0]])
    np.testing.assert_allclose(arc(T @ T.T, [0.5, 0.5]) @ T, [2, 0])
    np.testing.assert_allclose(arc(np.zeros((2, 2)), [0.5, 0.5]), [0.5, 0.5])


def test_three_vectors_at_right_angles_keep_their_length():
    c = arc(np.eye(3), [1 / 3] * 3)
    assert np.linalg.norm(c) == pytest.approx(1)
    assert arc(np.eye(3), [0, 0, 1]) == pytest.approx([0, 0, 1])


def test_the_model_lies_at_the_arc_of_the_task_vectors(planted):
    world = planted([[0], [0]])
    vectors = world.vectors
    found = Slerp()(vectors, None, np.random.default_rng(0))
    c = arc(vectors.gram(), [0.5, 0.5])
    want = vectors.base("0.weight") + sum(c[i] * vectors.vector(t, "0.weight") for i, t in enumerate(vectors.tasks))
    torch.testing.assert_close(found.block("0.weight"), want.float())
