from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.upgrade.merging.nets import Net, head, moved

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging import interpolate, soup


def test_the_ends_are_the_models_and_the_middle_is_their_mean():
    base = head()
    a, b = head(1, base=base), head(2, base=base)
    assert interpolate(a, b, 0).fingerprint == a.fingerprint
    for name, value in interpolate(a, b, 1).arrays().items():
        np.testing.assert_array_equal(value, b.arrays()[name])
    for name, value in interpolate(a, b).arrays().items():
        np.testing.assert_allclose(value, (a.arrays()[name] + b.arrays()[name]) / 2, rtol=1e-5, atol=1e-6)


def test_a_share_is_that_of_the_second_model():
    base = head()
    a, b = head(1, base=base), head(2, base=base)
    found, name = interpolate(a, b, 0.2), "1.0.0.weight"
    np.testing.assert_allclose(found.arrays()[name], 0.8 * a.arrays()[name] + 0.2 * b.arrays()[name], rtol=1e-5)


def test_what_comes_back_is_of_the_kind_of_the_first():
    base = head()
    spaces = [SimpleNamespace(heads={"text": head(i, base=base)}) for i in (1, 2)]
    assert list(interpolate(*spaces)) == ["text"]
    net = Net()
    assert isinstance(interpolate(moved(net, 1), moved(net, 2)), Net)
    arrays = interpolate({"a": np.zeros((20, 20), np.float32)}, {"a": np.ones((20, 20), np.float32)}, 0.25)
    np.testing.assert_array_equal(arrays["a"], np.full((20, 20), 0.25, np.float32))


def test_a_module_may_be_mixed_with_a_state_or_a_file(tmp_path):
    net = Net()
    other = moved(net, 1)
    state = {k: v.clone().contiguous() for k, v in other.state_dict().items()}
    save_file(state, tmp_path / "other.safetensors")
    found = [interpolate(net, o, 0.5).state_dict() for o in (other, state, tmp_path / "other.safetensors")]
    for name in found[0]:
        assert torch.equal(found[0][name], found[1][name])
        assert torch.equal(found[0][name], found[2][name])


def test_a_soup_of_several_has_the_weights_given():
    models = [{"a": torch.full((2, 2), float(i))} for i in (1, 2, 6)]
    assert soup(models)["a"][0, 0] == 3
    assert soup(models, [1, 1, 0])["a"][0, 0] == 1.5
    assert soup({"x": models[0], "y": models[2]}, {"x": 3, "y": 1})["a"][0, 0] == 2.25
    assert soup(models[:1])["a"][0, 0] == 1


def test_models_of_different_starts_are_refused_unless_one_insists():
    a, b = head(0), head(1)
    with pytest.raises(BadInput, match="different starts"):
        interpolate(a, b)
    with pytest.warns(RuntimeWarning, match="different starts"):
        interpolate(a, b, unrelated="warn")
    interpolate(a, b, unrelated="ignore")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "half"])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(BadInput, match="share must lie between 0 and 1"):
        interpolate(head(), head(), share)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="2 weights for 1 models"):
        soup([head()], [1, 2])
    with pytest.raises(BadInput, match="nothing to merge"):
        soup([])
