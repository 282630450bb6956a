import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.upgrade.merging.nets import Net, moved

from commonspace.core.errors import BadInput, NotFound, SpaceMismatch
from commonspace.upgrade.merging.states import from_path, layout_of, tensors, tied, whole


def layout(net, *others, buffers=()):
    return layout_of(net.state_dict(), {f"t{i}": o.state_dict() for i, o in enumerate(others)}, set(buffers))


def test_trained_tensors_are_merged_running_statistics_averaged_and_integers_kept():
    net = Net()
    found = layout(net, moved(net, 1), moved(net, 2))
    assert found.blocks.keys() == {
        "first.weight", "first.bias", "norm.weight", "norm.bias", "back.weight", "back.bias", "again.bias",
    }  # fmt: skip
    assert found.averaged == ("norm.running_var",)
    assert set(found.kept) == {"shift", "norm.running_mean", "norm.num_batches_tracked"}


def test_names_that_share_memory_are_one_block():
    assert tied(Net().state_dict())["back.weight"] == ("back.weight", "again.weight")
    assert layout(Net(), moved(Net(), 1)).blocks["back.weight"] == ("back.weight", "again.weight")


def test_empty_tensors_are_not_tied_to_one_another():
    assert tied({"a": torch.zeros(0), "b": torch.zeros(0)}) == {"a": ("a",), "b": ("b",)}


def test_a_tie_that_a_tuned_model_broke_is_refused():
    net, other = Net(), moved(Net(), 1).state_dict()
    other = {k: v.clone() for k, v in other.items()}
    other["again.weight"] += 1
    with pytest.raises(SpaceMismatch, match="share their numbers in the base but differ in 't'"):
        layout_of(net.state_dict(), {"t": other}, set())


def test_a_file_that_keeps_a_tied_tensor_once_fits(tmp_path):
    net, other = Net(), moved(Net(), 1)
    state = {k: v for k, v in other.state_dict().items() if k != "again.weight"}
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "x.safetensors")
    found = layout_of(net.state_dict(), {"t": from_path(tmp_path / "x.safetensors")}, set())
    assert found.sources["t"]["again.weight"] == "back.weight"


def test_a_file_is_read_tensor_by_tensor(tmp_path):
    save_file({"a": torch.arange(3.0)}, tmp_path / "x.safetensors")
    state = from_path(tmp_path / "x.safetensors")
    assert list(state) == ["a"]
    assert len(state) == 1
    assert torch.equal(state["a"], torch.arange(3.0))
    with pytest.raises(KeyError):
        state["b"]


def test_a_file_that_is_not_there_or_not_safetensors_is_named(tmp_path):
    with pytest.raises(NotFound, match="no file"):
        from_path(tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="cannot be read as safetensors"):
        from_path(tmp_path / "y.safetensors")


def test_other_names_are_refused_with_examples():
    net = Net()
    other = {"model." + k: v for k, v in net.state_dict().items()}
    with pytest.raises(
        SpaceMismatch, match=r"lacks 'shift', 'first.weight'.* and has besides 'model.shift', 'model.first"
    ):
        layout_of(net.state_dict(), {"t": other}, set())


def test_other_shapes_and_kinds_of_numbers_are_refused():
    base = {"a": torch.zeros(2, 3)}
    with pytest.raises(SpaceMismatch, match=r"'a' is \(2, 3\).* but \(3, 2\)"):
        layout_of(base, {"t": {"a": torch.zeros(3, 2)}}, set())
    with pytest.raises(SpaceMismatch, match="int64"):
        layout_of(base, {"t": {"a": torch.zeros(2, 3, dtype=torch.int64)}}, set())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_model_whose_training_went_wrong_is_named(bad):
    with pytest.raises(BadInput, match="'a' of t holds NaN or Inf"):
        layout_of({"a": torch.zeros(2)}, {"t": {"a": torch.tensor([0, bad])}}, set())


def test_what_no_model_changed_is_kept():
    found = layout_of({"a": torch.ones(2), "b": torch.ones(2)}, {"t": {"a": torch.ones(2), "b": torch.zeros(2)}}, set())
    assert (found.kept, list(found.blocks)) == (("a",), ["b"])


def test_a_merged_block_that_leaves_the_dtype_is_refused():
    base, theirs = {"a": torch.ones(2, dtype=torch.float16)}, {"a": torch.zeros(2, dtype=torch.float16)}
    found = layout_of(base, {"t": theirs}, set())
    with pytest.raises(BadInput, match=r"holds NaN or Inf as torch\.float16"):
        whole(base, found, lambda name: torch.full((2,), 1e6), lambda name: base[name])


def test_arrays_become_tensors_without_a_copy_and_read_only_ones_with_one():
    a = np.ones(3, np.float32)
    found = tensors({"a": a}, "it")["a"]
    a[0] = 5
    assert found[0] == 5
    a.flags.writeable = False
    assert torch.equal(tensors({"a": a}, "it")["a"], torch.tensor([5.0, 1, 1]))


def test_a_state_holds_numbers_only():
    with pytest.raises(BadInput, match="'a' of it is a str"):
        tensors({"a": "x"}, "it")
    with pytest.raises(BadInput, match="holds no numbers"):
        tensors({}, "it")
