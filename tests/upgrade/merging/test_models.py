from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import Net, head, rows
from torch import nn

from commonspace.align.forward import Layer, NumpyHead
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.upgrade.merging.models import model_of


def test_a_head_in_torch_gives_the_rows_that_it_gives_in_numpy():
    h = head()
    model = model_of(h)
    np.testing.assert_allclose(model.rows(model.state, rows(), "").numpy(), h(rows()), atol=1e-6)


def test_a_head_rebuilt_from_its_own_state_is_the_same():
    h = head()
    assert model_of(h).rebuild(model_of(h).state).fingerprint == h.fingerprint


def test_standardisation_counts_as_a_buffer_of_a_head():
    assert model_of(head()).buffers == {"0.mean", "0.scale"}


def test_a_space_is_read_by_its_heads():
    space = SimpleNamespace(heads={"text": head(0), "image": head(1, d_in=3)})
    model = model_of(space)
    assert "image/1.0.0.weight" in model.state
    back = model.rebuild(model.state)
    assert {m: h.fingerprint for m, h in back.items()} == {m: h.fingerprint for m, h in space.heads.items()}
    np.testing.assert_allclose(
        model.rows(model.state, rows(), "text#2").numpy(), space.heads["text"](rows()), atol=1e-6
    )
    with pytest.raises(BadInput, match="no modality of these heads"):
        model.rows(model.state, rows(), "sound")


def test_heads_of_other_modalities_or_layers_are_told_apart():
    a = model_of({"text": head(0)})
    with pytest.raises(SpaceMismatch, match="modalities"):
        a.check_like(model_of({"image": head(0)}), "t")
    with pytest.raises(SpaceMismatch, match="other layers"):
        a.check_like(
            model_of(
                {
                    "text": NumpyHead(
                        [Layer("linear", {"weight": np.ones((4, 6), np.float32)}), Layer("normalise")], d_in=6, dim=4
                    )
                }
            ),
            "t",
        )


def test_a_module_runs_in_evaluation_mode_and_comes_back_as_it_was():
    net = Net().train()
    model = model_of(net)
    once, twice = (model.rows(model.state, rows(), "") for _ in range(2))
    assert torch.equal(once, twice)  # no dropout
    assert net.training
    assert torch.equal(once, net.eval()(torch.from_numpy(rows())))


def test_a_module_runs_with_the_numbers_it_is_given_and_keeps_its_own():
    net = Net()
    model = model_of(net)
    zero = {k: torch.zeros_like(v) for k, v in model.state.items()}
    assert not model.rows(zero, rows(), "").any()
    assert net.first.weight.any()


def test_a_rebuilt_module_is_a_new_one_with_the_ties_of_the_old():
    net = Net()
    model = model_of(net)
    other = model.rebuild({k: v + 1 if v.is_floating_point() else v for k, v in model.state.items()})
    assert other is not net
    assert other.again.weight is other.back.weight
    assert torch.equal(other.first.weight, net.first.weight + 1)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))

    def forward(self, ids, mask=None):
        return {"sentence_embedding": self.w * ids.float()}


class Sole(Named):
    def forward(self, features):
        features["written"] = 1
        return {"sentence_embedding": self.w * features["ids"].float()}

    def preprocess(self, texts):
        return {"ids": torch.tensor([[len(t), 1] for t in texts])}


def test_inputs_by_name_go_in_as_keywords_or_as_one_argument_as_the_module_takes_them():
    given = {"ids": torch.ones(2, 3, dtype=torch.int64)}
    for net in (Named(), Sole()):
        model = model_of(net)
        assert model.rows(model.state, given, "")["sentence_embedding"].shape == (2, 3)
    assert list(given) == ["ids"]  # what a module writes into its input does not come back


def test_texts_go_through_the_tokenizer_of_a_module_that_has_one():
    model = model_of(Sole())
    assert model.rows(model.state, ["a", "abc"], "")["sentence_embedding"].tolist() == [[1, 1], [3, 1]]
    model = model_of(Named())
    with pytest.raises(BadInput, match="no tokenizer"):
        model.rows(model.state, ["a"], "")


def test_a_bare_state_comes_back_as_what_it_was_and_cannot_be_run():
    model = model_of({"a": np.ones(2, np.float32)})
    assert isinstance(model.rebuild(model.state)["a"], np.ndarray)
    assert isinstance(model_of({"a": torch.ones(2)}).rebuild(model.state)["a"], torch.Tensor)
    with pytest.raises(BadInput, match="module="):
        model.rows(model.state, rows(), "")


def test_a_state_with_its_module_can_be_run():
    net = Net().eval()
    model = model_of(net.state_dict(), net)
    assert torch.equal(model.rows(model.state, rows(), ""), net(torch.from_numpy(rows())))
    assert set(model.rebuild(model.state)) == set(net.state_dict())


def test_anything_else_is_refused():
    with pytest.raises(BadInput, match="is a int"):
        model_of(3)
