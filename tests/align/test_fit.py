from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from tests.align.conftest import two_views

from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.training.trainer import Trainer
from commonspace.core.errors import BadInput, CommonspaceError, NotFound
from commonspace.core.vectors import unit
from commonspace.core.views import Views

SMALL: dict[str, Any] = {"dim": 16, "batch_size": 64, "epochs": 12, "baselines": (), "lr": 3e-3}
SMALL["head"] = {"name": "mlp", "hidden": 48, "dropout": 0.1}


def same_heads(one: FitResult, other: FitResult) -> bool:
    return all(one.heads[m].fingerprint == other.heads[m].fingerprint for m in one.heads)


def test_it_solves_a_planted_pair_of_views_on_items_it_never_saw() -> None:
    X, new = two_views(800, seed=0), two_views(100, seed=1)
    fitted = fit_heads(X, **{**SMALL, "epochs": 40})
    a, b = fitted.heads["a"](new["a"]), fitted.heads["b"](new["b"])
    assert ((a @ b.T).argmax(1) == np.arange(100)).mean() > 0.9
    assert ((b @ a.T).argmax(1) == np.arange(100)).mean() > 0.9


def test_the_returned_heads_are_what_validation_measured() -> None:
    X, held = two_views(300), two_views(80, seed=1)
    fitted = fit_heads(X, valid=(held, None, None), **SMALL)
    scores = fitted.heads["a"](held["a"]) @ fitted.heads["b"](held["b"]).T
    assert fitted.valid_metrics["a->b r@1"] == pytest.approx((scores.argmax(1) == np.arange(80)).mean(), abs=0.013)
    assert fitted.valid_metrics["mrr"] == pytest.approx(fitted.history[fitted.best_epoch - 1]["mrr"], abs=1e-6)


def test_the_best_epoch_is_kept() -> None:
    fitted = fit_heads(two_views(200), **{**SMALL, "lr": 0.05, "schedule": "constant"})
    mrr = [h["mrr"] for h in fitted.history]
    assert fitted.best_epoch == int(np.argmax(mrr)) + 1
    assert fitted.valid_metrics["mrr"] == pytest.approx(max(mrr), abs=1e-6)


def test_patience_ends_training_early() -> None:
    fitted = fit_heads(two_views(100), **{**SMALL, "epochs": 200, "patience": 2})
    assert fitted.stopped == "patience"
    assert len(fitted.history) == fitted.best_epoch + 2


@pytest.mark.parametrize("average", ["last", "ema", "swa"])
def test_the_same_seed_gives_the_same_heads_and_another_seed_others(average: str) -> None:
    X = two_views(150)
    kwargs = {**SMALL, "epochs": 3, "average": average, "augment": {"noise": 0.1, "drop": 0.1, "mixup": 0.2}}
    first = fit_heads(X, **kwargs)
    assert same_heads(first, fit_heads(X, **kwargs))
    assert not same_heads(first, fit_heads(X, **kwargs, random_state=1))


def test_the_global_random_state_and_precision_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    before = torch.get_float32_matmul_precision()
    fit_heads(two_views(60), **{**SMALL, "epochs": 1}, precision="medium")
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_float32_matmul_precision() == before


def test_a_seed_drawn_from_a_generator_is_reported_and_repeats_the_run() -> None:
    X = two_views(100)
    kwargs = {**SMALL, "epochs": 2}
    first = fit_heads(X, **kwargs, random_state=np.random.default_rng(3))
    assert same_heads(first, fit_heads(X, **kwargs, random_state=first.random_state))


def test_three_modalities_with_missing_ones_meet_in_one_space() -> None:
    X = two_views(600)
    X["c"] = np.hstack([X["a"], X["b"]])[:, ::-1].copy()
    rng = np.random.default_rng(0)
    present = {m: rng.random(600) < 0.8 for m in X}
    X["c"][~present["c"]] = np.nan  # what is absent may hold anything
    fitted = fit_heads(X, present=present, **{**SMALL, "epochs": 30})
    assert set(fitted.heads) == {"a", "b", "c"}
    assert all(fitted.valid_metrics[f"{q}->{g} r@10"] > 0.85 for q in "abc" for g in "abc" if q != g)


def test_absent_rows_change_nothing() -> None:
    X = two_views(200)
    present = {"b": np.arange(200) % 3 != 0}
    kwargs = {**SMALL, "epochs": 2, "present": present, "head": {"name": "mlp", "hidden": 16, "norm": "batch"}}
    first = fit_heads(X, **kwargs)
    X["b"][~present["b"]] = 1e6
    assert same_heads(first, fit_heads(X, **kwargs))


def test_items_of_one_group_are_positives_of_each_other() -> None:
    X = two_views(100)
    doubled = {m: np.vstack([v, v]) for m, v in X.items()}
    fitted = fit_heads(doubled, groups=np.tile(np.arange(100), 2), **{**SMALL, "batch_size": 200})
    assert fitted.history[0]["several_positives"] == 1
    assert fitted.params["n_train"] == 180  # both rows of a group on one side


def test_relevance_as_a_matrix_or_a_function_replaces_groups_in_the_loss() -> None:
    X, groups = two_views(120), np.arange(120) // 2
    table = csr_array((groups[:, None] == groups[None, :]).astype(np.float32))
    kwargs = {**SMALL, "epochs": 2}
    by_groups = fit_heads(X, groups=groups, **kwargs)
    assert same_heads(by_groups, fit_heads(X, groups=groups, relevance=table, **kwargs))
    looked_up = fit_heads(X, groups=groups, relevance=lambda i: table[i][:, i].toarray(), **kwargs)
    assert same_heads(by_groups, looked_up)


def test_gradient_caching_trains_the_same_heads() -> None:
    X = two_views(150)
    kwargs = {**SMALL, "epochs": 3, "head": {"name": "mlp", "hidden": 24}}
    plain, cached = fit_heads(X, **kwargs), fit_heads(X, chunk_size=20, **kwargs)
    np.testing.assert_allclose(plain.heads["a"](X["a"]), cached.heads["a"](X["a"]), atol=1e-3)


def test_members_form_one_wider_space() -> None:
    X = two_views(300)
    one, three = fit_heads(X, **SMALL), fit_heads(X, members=3, **SMALL)
    assert three.heads["a"].dim == 3 * one.heads["a"].dim == 48
    z = three.heads["a"](X["a"][:50])
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    starts = z.reshape(50, 3, 16) @ np.ones(16)
    assert not np.allclose(starts[:, 0], starts[:, 1])
    assert three.valid_metrics["mrr"] > one.valid_metrics["mrr"] - 0.02


def test_a_nested_space_has_prefixes_that_retrieve_better_than_those_of_a_plain_one() -> None:
    X, new = two_views(800), two_views(100, seed=1)
    small = {**SMALL, "epochs": 30}
    plain, nested = fit_heads(X, **small), fit_heads(X, matryoshka=[2, 4], **small)

    def found(fitted: FitResult, size: int) -> float:
        a, b = (unit(fitted.heads[m](new[m])[:, :size]) for m in "ab")
        return float(((a @ b.T).argmax(1) == np.arange(100)).mean())

    assert found(nested, 4) > found(plain, 4) + 0.1
    assert found(nested, 16) > 0.9
    assert nested.params["sizes"] == [2, 4, 16]
    assert list(nested.by_size) == [2, 4, 16]
    assert nested.by_size[16]["mrr"] == pytest.approx(nested.valid_metrics["mrr"], abs=1e-6)
    assert plain.params["sizes"] == [16]
    assert plain.by_size == {}


def test_the_prefixes_of_several_members_are_those_of_the_first() -> None:
    X = two_views(200)
    fitted = fit_heads(X, members=2, matryoshka=[4], **{**SMALL, "epochs": 2})
    assert fitted.params["sizes"] == [4, 16, 32]
    assert list(fitted.by_size) == [4, 16, 32]


def test_a_head_trained_in_two_ways_retrieves_when_cut_in_both() -> None:
    X, new = two_views(800), two_views(100, seed=1)
    head = {"name": "residual", "layers": 3, "hidden": 48}
    fitted = fit_heads(X, matryoshka="2d", **{**SMALL, "epochs": 30, "head": head})
    plain = fit_heads(X, **{**SMALL, "epochs": 30, "head": head})

    def found(result: FitResult) -> float:
        a, b = (result.heads[m].truncate(layers=1, dim=4)(new[m]) for m in "ab")
        return float(((a @ b.T).argmax(1) == np.arange(100)).mean())

    assert found(fitted) > found(plain) + 0.1
    assert "accuracy@1,4" in fitted.history[-1]


def test_layers_are_cached_and_absent_rows_ignored_as_with_any_objective() -> None:
    X = two_views(150)
    X["b"][::3] = 1e6
    present = {"b": np.arange(150) % 3 != 0}
    few = {**SMALL, "epochs": 2, "head": {"name": "residual", "hidden": 16, "layers": 2}, "present": present}
    plain, cached = fit_heads(X, matryoshka="2d", **few), fit_heads(X, matryoshka="2d", chunk_size=20, **few)
    np.testing.assert_allclose(plain.heads["a"](X["a"]), cached.heads["a"](X["a"]), atol=1e-3)


def test_two_dimensions_bring_their_own_head_unless_one_is_named() -> None:
    few = {**SMALL, "epochs": 1}
    del few["head"]
    assert fit_heads(two_views(60), matryoshka="2d", **few).params["head"]["name"] == "residual"
    with pytest.raises(BadInput, match='or "2d"'):
        fit_heads(two_views(60), matryoshka="3d", **few)


def test_matryoshka_false_changes_nothing() -> None:
    X, few = two_views(100), {**SMALL, "epochs": 1}
    assert same_heads(fit_heads(X, **few), fit_heads(X, matryoshka=False, **few))


def test_variants_are_drawn_in_training_and_the_first_counts_after() -> None:
    X = two_views(200)
    noisy = np.random.default_rng(0).normal(size=X["a"].shape).astype(np.float32)
    kwargs = {**SMALL, "epochs": 3}
    varied = fit_heads({"a": [X["a"], noisy], "b": X["b"]}, **kwargs)
    plain = fit_heads(X, **kwargs)
    assert not same_heads(varied, plain)
    mean = varied.heads["a"].arrays()["0.mean"]
    np.testing.assert_allclose(mean, plain.heads["a"].arrays()["0.mean"], atol=1e-6)


def test_blocks_reach_the_head_of_their_modality() -> None:
    head = {"a": {"name": "linear", "scaling": ["column", "block"]}, "b": "linear"}
    fitted = fit_heads(two_views(100), blocks={"a": [20, 4]}, **{**SMALL, "epochs": 1, "head": head})
    scale = fitted.heads["a"].arrays()["0.scale"]
    assert len(set(scale[20:].tolist())) == 1
    assert len(set(scale[:20].tolist())) == 20


def test_ctrl_c_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, epochs=3)
    fitted = fit_heads(two_views(200), **SMALL)
    assert fitted.interrupted
    assert fitted.stopped == "interrupt"
    assert len(fitted.history) == 3
    assert fitted.valid_metrics["mrr"] == pytest.approx(max(h["mrr"] for h in fitted.history), abs=1e-6)


def test_ctrl_c_before_anything_was_trained_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, epochs=0)
    with pytest.raises(KeyboardInterrupt):
        fit_heads(two_views(100), **SMALL)


def interrupt_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    original = Trainer.epoch

    def epoch(self: Trainer, number: int) -> Any:
        for step, loss in enumerate(original(self, number)):
            if number == epochs and step == 1:
                raise KeyboardInterrupt
            yield loss

    monkeypatch.setattr(Trainer, "epoch", epoch)


def test_time_that_runs_out_keeps_what_there_is() -> None:
    fitted = fit_heads(two_views(200), max_seconds=0.0, **SMALL)
    assert fitted.stopped == "time"
    assert len(fitted.history) == 1
    assert "mrr" in fitted.valid_metrics


def test_without_validation_the_last_epoch_is_kept() -> None:
    fitted = fit_heads(two_views(100), valid=None, **{**SMALL, "epochs": 3})
    assert fitted.best_epoch == 3
    assert fitted.valid_metrics == {}


def test_a_users_objective_is_not_trained_in_place() -> None:
    mine = InfoNCE(temperature=0.2)
    fit_heads(two_views(100), **{**SMALL, "epochs": 1, "objective": mine})
    assert mine.log_scale.item() == InfoNCE(temperature=0.2).log_scale.item()


def test_an_unknown_objective_is_answered_with_all_that_there_are_auto_among_them() -> None:
    with pytest.raises(NotFound, match=r"no Objective named 'nonsense'\. Known: auto, 2d-matryoshka, .*infonce"):
        fit_heads(two_views(20), objective="nonsense")
    with pytest.raises(NotFound, match="Did you mean 'auto'"):
        fit_heads(two_views(20), objective="atuo")


def test_several_objectives_are_added() -> None:
    fitted = fit_heads(two_views(100), **{**SMALL, "epochs": 1, "objective": ["infonce", {"name": "clip"}]})
    single = fit_heads(two_views(100), **{**SMALL, "epochs": 1})
    assert fitted.history[0]["loss"] == pytest.approx(2 * single.history[0]["loss"], rel=0.2)


def test_divergence_is_an_error_that_names_the_learning_rate() -> None:
    class Broken(InfoNCE):
        def forward(self, views: Any) -> torch.Tensor:
            return super().forward(views) * float("nan")

    with pytest.raises(CommonspaceError, match="lower lr"):
        fit_heads(two_views(60), **{**SMALL, "objective": Broken()})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"valid": "half"}, "a fraction or None"),
        ({"valid": 1.5}, "between 0 and 1"),
        ({"valid": ({"a": np.ones((9, 24)), "b": np.ones((9, 3))}, None, None)}, "dimension 30 in training and 3"),
        ({"valid": ({"a": np.ones((9, 24)), "c": np.ones((9, 3))}, None, None)}, "the modalities"),
        ({"valid": ({m: v[:1] for m, v in two_views(2).items()}, None, None)}, "holds 1 pairs"),
        ({"blocks": {"z": [1]}}, "modality 'z'"),
        ({"blocks": {"a": [1]}}, "sums to 1"),
        ({"batch_size": 1}, "at least 2"),
        ({"dim": 0}, "dim must be"),
        ({"precision": "low"}, "precision must be"),
        ({"relevance": np.eye(60)}, "sparse"),
        ({"relevance": lambda i: np.eye(3)}, "relevance must return"),
        ({"chunk_size": 8, "head": {"name": "mlp", "norm": "batch"}}, "batch normalisation"),
        ({"groups": np.zeros(60, int)}, "holds 1 pairs"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        fit_heads(two_views(60), **{**SMALL, "epochs": 1, **arguments})


def test_a_modality_may_be_called_anything() -> None:
    X = two_views(60)
    fitted = fit_heads({"alt.text": X["a"], "": X["b"]}, **{**SMALL, "epochs": 1, "objective": ["infonce", "siamlip"]})
    assert set(fitted.heads) == {"alt.text", ""}


def test_the_default_recipe_runs_with_every_extra_and_missing_modalities() -> None:
    X, present = two_views(120), {"b": np.arange(120) % 4 != 0}
    for extra in ("siamlip", "byolip", "barlip", "swalip"):
        fitted = fit_heads(X, present=present, dim=8, epochs=1, objective=["infonce", extra], baselines=())
        assert np.isfinite(fitted.history[0][extra])


def test_extras_train_under_gradient_caching_too() -> None:
    kwargs = {**SMALL, "epochs": 2, "objective": ["infonce", "byolip"], "head": {"name": "mlp", "hidden": 16}}
    X = two_views(100)
    plain, cached = fit_heads(X, **kwargs), fit_heads(X, chunk_size=16, **kwargs)
    np.testing.assert_allclose(plain.heads["a"](X["a"]), cached.heads["a"](X["a"]), atol=1e-3)


def test_the_objective_hears_the_group_of_every_item() -> None:
    class Listener:
        diagnostics: dict[str, float] = {}
        heard: list[tuple[torch.Tensor, torch.Tensor]] = []

        def __call__(self, views: Views) -> torch.Tensor:
            self.heard.append((views.frozen["a"][:, 0], views.groups))
            return views.z["a"].sum()

    X = two_views(60)
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 3))
    fit_heads(X, groups=groups, objective=Listener(), valid=None, **{**SMALL, "epochs": 1, "batch_size": 20})
    group_of = dict(zip(X["a"][:, 0].tolist(), groups.tolist(), strict=True))
    for marks, heard in Listener.heard:
        assert [group_of[mark] for mark in marks.tolist()] == heard.tolist()
    assert sum(len(heard) for _, heard in Listener.heard) == 60


def test_variants_given_as_a_list_count_as_items_not_as_variants() -> None:
    X = two_views(200)
    variants = {"a": [X["a"], X["a"] + 0.01], "b": X["b"]}
    options = {**SMALL, "epochs": 1}
    assert len(fit_heads(variants, noisy_pairs="drop", **options).pair_quality.probability("a")) == 200
    fit_heads(variants, relevance=csr_array(np.eye(200)), **options)  # is refused for a (2, 2) matrix otherwise


def test_ctrl_c_while_pairs_are_judged_ends_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fit_heads(two_views(200), noisy_pairs={"remedy": "drop", "looks": 2}, **SMALL)


def test_measuring_is_no_part_of_the_seconds_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr("commonspace.align.training.run.time.perf_counter", lambda: seconds[0])

    def slowly(*_: Any, **__: Any) -> None:
        seconds[0] += 1000

    monkeypatch.setattr("commonspace.align.fit.compare_baselines", slowly)
    assert fit_heads(two_views(100), **{**SMALL, "epochs": 1}).seconds == 0


@pytest.mark.parametrize("given", [lambda i: np.full((len(i), len(i)), np.inf), lambda i: csr_array(np.eye(len(i)))])
def test_relevance_that_is_no_table_of_finite_numbers_is_refused(given: Any) -> None:
    with pytest.raises(BadInput, match=r"array of finite numbers >= 0 .* toarray"):
        fit_heads(two_views(100), relevance=given, **SMALL)


def test_what_a_relevance_function_keeps_is_not_written_to() -> None:
    kept = np.zeros((100, 100), np.float32)
    fit_heads(two_views(100), relevance=lambda i: kept[: len(i), : len(i)], **{**SMALL, "epochs": 1})
    assert not kept.any()


class Remembering(torch.nn.Module):
    """InfoNCE that keeps the batches it saw."""

    seen: list[Views] = []

    def __init__(self) -> None:
        super().__init__()
        self.inner = InfoNCE()
        self.diagnostics: dict[str, float] = {}

    def forward(self, views: Views) -> torch.Tensor:
        Remembering.seen.append(views)
        loss: torch.Tensor = self.inner(views)
        return loss


@pytest.mark.parametrize("chunk_size", [None, 16])
def test_the_objective_sees_the_old_vector_of_every_item(chunk_size: int | None) -> None:
    X = two_views(120)
    X["a"][:, 0] = np.arange(120)  # a mark that is in the features and in the old vectors
    old = {"b": np.stack([np.arange(120), np.ones(120)], 1)}
    here = {"b": np.arange(120) % 3 > 0}
    Remembering.seen = []
    options = {**SMALL, "epochs": 1, "chunk_size": chunk_size, "sampler": {"name": "uniform", "batch_size": 32}}
    fit_heads(X, present=here, old=old, objective=Remembering(), augment={"noise": 0.5, "mixup": 0.3}, **options)
    assert len(Remembering.seen) > 1
    for views in Remembering.seen:
        assert set(views.old) == {"b"}
        mark = views.frozen["a"][:, 0]
        told = views.old["b"][:, 0] / views.old["b"][:, 1].clamp_min(1e-9)
        there = views.present["b"]
        torch.testing.assert_close(told[there], mark[there], atol=0.01, rtol=1e-4)
        assert (views.old["b"][~there] == 0).all()


def test_old_vectors_change_nothing_for_an_objective_that_does_not_read_them() -> None:
    X = two_views(100)
    kwargs = {**SMALL, "epochs": 2}
    old = {m: np.random.default_rng(0).normal(size=(100, 6)) for m in X}
    assert same_heads(fit_heads(X, **kwargs), fit_heads(X, old=old, **kwargs))
