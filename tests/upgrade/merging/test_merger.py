import json

import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import Net, head, moved, pair, rows

from commonspace.core.errors import BadInput, NotFound, SpaceMismatch
from commonspace.core.registry import entries
from commonspace.upgrade.merging import Merged, merge

NAMES = [e.name for e in entries("Merge")]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def quick(name):
    return {"name": name, "steps": 5} if name in ("self-positioning", "atlas") else name


def some_heads():
    base = head()
    return base, {"titles": head(1, base=base), "tags": head(2, base=base)}


def metric(h):
    x, y = pair(40, seed=9)
    hit = (h(x) @ h(y).T).argmax(1) == np.arange(40)
    return {"hit": hit.astype(float)}


PROBES = {"titles": pair(seed=1), "tags": pair(seed=3)}


@pytest.mark.parametrize("name", NAMES)
def test_every_way_merges_heads_and_says_what_it_did(name):
    base, tuned = some_heads()
    merged = merge(base, tuned, quick(name), probes=PROBES, metric=metric)
    report = merged.report
    assert isinstance(merged, Merged)
    assert report.method == name
    assert report.tasks == ("titles", "tags")
    assert set(report.weights) == set(tuned)
    assert [k.verdict for k in report.kinships] == ["one start", "one start"]
    assert set(report.figures) == {"base", "titles", "tags", "uniform", "merged"}
    assert report.figures["merged"]["hit"].value == metric(merged.model)["hit"].mean()
    assert report.gains["hit"].a == "merged"
    assert -1 <= report.cosines["titles", "tags"] <= 1
    json.dumps(report.to_dict())
    assert str(merged).startswith(f"{name} of 2 models")
    assert merged.model.config() == base.config()


@pytest.mark.parametrize("name", NAMES)
def test_every_way_merges_modules_with_buffers_ties_and_integers(name):
    net = Net()
    tuned = {"titles": moved(net, 1), "tags": moved(net, 2)}
    merged = merge(net, tuned, quick(name), probes=PROBES)
    model = merged.model
    assert model.again.weight is model.back.weight
    assert model.norm.num_batches_tracked == 0
    assert "running statistics were averaged" in str(merged)
    assert "1 blocks are known by several names" in str(merged)
    assert merged.report.averaged == ("norm.running_var",)
    assert torch.isfinite(model.eval()(torch.from_numpy(rows()))).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_model_and_leaves_torchs_state(name):
    base, tuned = some_heads()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    a, b = (merge(base, tuned, quick(name), probes=PROBES, random_state=4).model for _ in range(2))
    assert a.fingerprint == b.fingerprint
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_models_that_are_the_base_merge_to_the_base(name):
    base = head()
    merged = merge(base, {"a": base, "b": base}, quick(name), probes={"a": pair(), "b": pair()})
    assert merged.model.fingerprint == base.fingerprint
    assert "no model differs" in str(merged)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "slerp"])
def test_the_order_of_the_tasks_does_not_matter(name):
    base, tuned = some_heads()
    method = {"name": name, "start": "uniform", "steps": 3} if name == "atlas" else quick(name)
    backwards = dict(reversed(tuned.items()))
    same = dict.fromkeys(tuned, PROBES["titles"])
    both = [merge(base, t, method, probes=same).model.arrays() for t in (tuned, backwards)]
    for key, value in both[0].items():
        np.testing.assert_allclose(value, both[1][key], rtol=2e-3, atol=2e-3)


def test_states_with_a_module_learn_like_the_module_itself():
    net = Net()
    tuned = {"titles": moved(net, 1), "tags": moved(net, 2)}
    a = merge(net, tuned, quick("self-positioning"), probes=PROBES)
    states = {t: m.state_dict() for t, m in tuned.items()}
    b = merge(net.state_dict(), states, quick("self-positioning"), probes=PROBES, module=net)
    assert a.report.weights == b.report.weights
    assert all(torch.equal(a.state[n], b.model[n]) for n in a.state)


def test_conflicts_of_gradients_are_told_for_each_pair_of_tasks():
    base, tuned = some_heads()
    x, y = pair(seed=1)

    def objective(run, batch):
        """Two tasks that want the opposite of one another."""
        sign = 1 if np.array_equal(batch.views["a"][:1], batch.views["b"][:1]) else -1
        return sign * (run(batch.views["a"], "a")[:, 0]).mean()

    found = merge(base, tuned, "soup", probes={"up": (x, x), "down": (x, y)}, objective=objective, batch_size=20)
    conflicts = found.report.conflicts
    assert conflicts.cosines["up", "down"].value == pytest.approx(-1, abs=1e-4)
    assert conflicts.rates["up", "down"].value == 1
    assert conflicts.rates["up", "down"].low < 1  # sixteen batches do not prove that it is always so


def test_one_model_alone_is_merged_with_its_base():
    base = head()
    merged = merge(base, {"a": head(1, base=base)}, quick("self-positioning"), probes={"a": pair()})
    assert merged.report.conflicts is None
    assert merged.report.weights["a"] == pytest.approx(merged.report.scale)


def test_probes_of_a_new_task_are_enough_to_transfer_to_it():
    base, tuned = some_heads()
    merged = merge(base, tuned, quick("atlas"), probes={"new": pair(seed=7)})
    assert set(merged.report.weights) == set(tuned)


def test_computing_elsewhere_changes_nothing():
    base, tuned = some_heads()
    a, b = (merge(base, tuned, quick("atlas"), probes=PROBES, device=d).model for d in (None, "cpu"))
    assert a.fingerprint == b.fingerprint


def test_a_base_is_needed_by_ways_that_measure_from_it():
    _, tuned = some_heads()
    with pytest.raises(BadInput, match="task-arithmetic measures from the weights that all were tuned from"):
        merge(None, tuned, "task-arithmetic")
    assert set(merge(None, tuned, "soup", metric=metric).report.figures) == {"titles", "tags", "uniform", "merged"}


def test_what_cannot_be_merged_is_refused_before_anything_is_learned():
    base, tuned = some_heads()
    with pytest.raises(BadInput, match="learns from probes"):
        merge(base, tuned)
    with pytest.raises(NotFound, match="no Merge named"):
        merge(base, tuned, "blend")
    with pytest.raises(SpaceMismatch):
        merge(base, {"a": head(1, hidden=5)}, "soup")
    with pytest.raises(BadInput, match="different starts"):
        merge(base, {"a": head(5)}, "soup")
    with pytest.raises(BadInput, match="nothing to merge"):
        merge(None, {}, "soup")
    with pytest.raises(BadInput, match="cannot be called 'uniform'"):
        merge(base, {"uniform": base}, "soup")
    with pytest.raises(BadInput, match="mapping of tasks"):
        merge(base, Net(), "soup")
    with pytest.raises(BadInput, match="unrelated must be one of"):
        merge(base, tuned, "soup", unrelated="perhaps")


def test_models_of_which_only_biases_were_tuned_are_kin():
    net = Net()
    other = moved(net, 1, step=0.0)
    with torch.no_grad():
        other.first.bias += 1
    (kin,) = merge(net, {"a": other}, "soup").report.kinships
    assert kin.verdict == "one start"
    assert kin.correlation == pytest.approx(1)


def test_the_figures_of_a_tuned_model_are_those_of_the_model_itself():
    net = Net()
    tuned = {"a": moved(net, 1), "b": moved(net, 2)}

    def metric(model):
        return model.eval()(torch.from_numpy(rows())).detach()[:, 0].numpy()

    found = merge(net, tuned, "soup", metric=metric).report.figures
    for task, model in tuned.items():
        assert found[task]["all"].value == pytest.approx(metric(model).mean(), rel=1e-5)
    assert found["merged"]["all"].value == found["uniform"]["all"].value


def test_strangers_that_were_merged_all_the_same_are_noted():
    base = head()
    assert "merged because you asked for it" in str(merge(base, {"a": head(5)}, "soup", unrelated="ignore"))


def test_a_sequence_of_models_is_numbered():
    base, tuned = some_heads()
    assert merge(base, list(tuned.values()), "soup").report.tasks == ("model 0", "model 1")


def test_a_metric_must_ask_every_model_the_same():
    base, tuned = some_heads()
    sizes = iter(range(5, 20))
    with pytest.raises(BadInput, match="same queries"):
        merge(base, tuned, "soup", metric=lambda m: np.zeros(next(sizes)))
    with pytest.raises(BadInput, match="no task"):
        merge(base, tuned, "soup", metric=lambda m: {})
