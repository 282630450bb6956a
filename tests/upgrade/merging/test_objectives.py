import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import rows
from torch.nn.functional import cross_entropy, normalize

from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.objectives import Entropy, OnViews, PseudoLabels, objective_of
from commonspace.upgrade.merging.probes import Batch


def run(inputs, view=""):
    return torch.as_tensor(inputs)


def batch(groups=None):
    return Batch({"a": rows(8, 5, 0), "b": rows(8, 5, 1)}, None if groups is None else torch.tensor(groups))


def logits(temperature):
    a, b = (normalize(torch.from_numpy(x), dim=1) for x in batch().views.values())
    return a @ b.T / temperature


def test_infonce_is_the_mean_of_both_cross_entropies():
    at = torch.arange(8)
    want = (cross_entropy(logits(0.2), at) + cross_entropy(logits(0.2).T, at)) / 2
    found = objective_of({"name": "infonce", "temperature": 0.2})(run, batch())
    assert found.item() == pytest.approx(want.item(), rel=1e-5)


def test_rows_of_one_group_are_positives_of_each_other():
    alone = OnViews("infonce")(run, batch())
    together = OnViews("infonce")(run, batch([0, 0, 1, 1, 2, 2, 3, 3]))
    log_p = logits(0.07).log_softmax(1), logits(0.07).T.log_softmax(1)
    same = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    target = (same[:, None] == same[None]) / 2
    want = -sum((p * target).sum(1).mean() for p in log_p) / 2
    assert together.item() == pytest.approx(want.item(), rel=1e-5)
    assert together.item() != pytest.approx(alone.item(), rel=1e-3)


def test_what_an_objective_would_learn_itself_stays_as_it_starts():
    inner = InfoNCE()
    found = objective_of(inner)
    assert isinstance(found, OnViews)
    assert [p.requires_grad for p in found.objective.parameters()] == [False]
    assert [p.requires_grad for p in inner.parameters()] == [True]  # whoever trains with it next learns it as before


def test_a_function_is_taken_as_it_is():
    def mine(model, batch):
        return torch.zeros(())

    assert objective_of(mine) is mine
    with pytest.raises(BadInput, match="objective must be"):
        objective_of(3)


def test_one_view_is_no_pair():
    with pytest.raises(BadInput, match="two views"):
        OnViews("infonce")(run, Batch({"a": rows()}))


def test_entropy_is_that_of_the_choice_among_candidates():
    x, c = rows(8, 5, 0), rows(3, 5, 1)
    p = (normalize(torch.from_numpy(x), dim=1) @ normalize(torch.from_numpy(c), dim=1).T / 0.5).softmax(1).numpy()
    each, mean = float(-(p * np.log(p)).sum(1).mean()), p.mean(0)
    alone = Entropy(c, temperature=0.5, spread=0)(run, Batch({"a": x}))
    assert alone.item() == pytest.approx(each, rel=1e-5)
    both = Entropy(c, temperature=0.5, spread=0.5)(run, Batch({"a": x}))
    assert both.item() == pytest.approx(each + 0.5 * float((mean * np.log(mean)).sum()), rel=1e-5)


def test_rows_that_all_choose_the_same_are_better_for_entropy_alone_and_worse_with_the_second_term():
    c = np.eye(3, dtype=np.float32)
    same, spread = Batch({"a": c[[0, 0, 0]]}), Batch({"a": c + 0.2})
    assert Entropy(c, spread=0)(run, same) < Entropy(c, spread=0)(run, spread)
    assert Entropy(c)(run, same) > Entropy(c)(run, spread)
    with pytest.raises(BadInput, match="spread"):
        Entropy(c, spread=-1)


def test_candidates_may_be_encoded_by_the_model_itself():
    seen = []

    def double(inputs, view=""):
        seen.append(view)
        return 2 * torch.as_tensor(inputs)

    x, c = rows(8, 5, 0), rows(3, 5, 1)
    found = Entropy(c, view="text")(double, Batch({"image": x}))
    assert seen == ["image", "text"]
    assert found.item() == pytest.approx(Entropy(c)(run, Batch({"image": x})).item(), rel=1e-5)


def test_pseudo_labels_count_only_rows_that_are_sure():
    c = np.eye(3, dtype=np.float32)
    sure, unsure = c[:2], np.ones((2, 3), np.float32)
    both = PseudoLabels(c, temperature=0.2, sure=0.9)(run, Batch({"a": np.vstack([sure, unsure])}))
    alone = PseudoLabels(c, temperature=0.2, sure=0.9)(run, Batch({"a": sure}))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    assert alone > 0
    assert PseudoLabels(c, temperature=0.2)(run, Batch({"a": unsure})) == 0


def test_the_output_of_a_model_must_be_rows():
    with pytest.raises(BadInput, match="no \\(n, dim\\) rows"):
        OnViews("infonce")(lambda x, view: torch.zeros(3), batch())
    found = OnViews("infonce")(lambda x, view: {"sentence_embedding": torch.as_tensor(x)}, batch())
    assert found == OnViews("infonce")(run, batch())


@pytest.mark.parametrize("arguments", [{"temperature": 0}, {"sure": 1.0}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(BadInput):
        PseudoLabels(rows(), **arguments)
