import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound
from commonspace.judge.reading import read_matrix


def test_a_matrix_is_mapped_and_not_loaded(tmp_path):
    np.save(tmp_path / "m.npy", np.eye(3, 4, dtype=np.float16))
    subject = read_matrix(tmp_path / "m.npy")
    assert isinstance(subject.vectors["vectors"], np.memmap)
    assert subject.dim == 4
    assert subject.about["stored as"] == "float16"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 3)), "with rows"),
        (np.zeros((3, 0)), "with rows"),
        (np.zeros(3), "shape"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.array([["a", "b"]]), "numbers"),
        (np.zeros((2, 2), complex), "numbers"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, array, words):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(BadInput, match=words):
        read_matrix(tmp_path / "m.npy")


def test_objects_are_never_read(tmp_path):
    np.save(tmp_path / "m.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput) as caught:
        read_matrix(tmp_path / "m.npy")
    assert "pickle" not in str(caught.value)


def test_other_files_are_refused_with_what_they_are(tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "two", a=np.eye(2))
    (tmp_path / "two.npz").rename(tmp_path / "two.npy")
    np.save(tmp_path / "cut.npy", np.eye(50))
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    for name, words in (
        ("text", "NumPy's format"),
        ("empty", "NumPy's format"),
        ("two", "archive"),
        ("cut", "cut off"),
    ):
        with pytest.raises(BadInput, match=words):
            read_matrix(tmp_path / f"{name}.npy")
    with pytest.raises(NotFound):
        read_matrix(tmp_path / "none.npy")
