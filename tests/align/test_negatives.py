from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import two_views
from tests.align.test_fit import SMALL, same_heads

from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.negatives import Batch, Companions, Negatives
from commonspace.align.objectives.base import ObjectiveModule
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput
from commonspace.core.registry import build, entries
from commonspace.core.views import Views

OBJECTIVES = [e.name for e in entries("Objective")]


def batch_of(data: PairData, index: np.ndarray) -> Batch:
    i = torch.from_numpy(index)
    x = {m: torch.from_numpy(v[index, 0]) for m, v in data.X.items()}
    groups = torch.from_numpy(data.groups)[i]
    present = {m: torch.from_numpy(v[index]) for m, v in data.present.items()}
    old = {m: torch.from_numpy(v[index]) for m, v in data.old.items()}
    return Batch(x, dict(x), present, (groups[:, None] == groups[None, :]).float(), groups, old)


def joined(
    negatives: dict[str, Negatives],
    index: np.ndarray,
    groups: np.ndarray | None = None,
    look_up: Callable[[np.ndarray], torch.Tensor] | None = None,
) -> tuple[Batch, Batch]:
    earlier = np.random.default_rng(1).normal(size=(12, 4))
    data = PairData.check(two_views(12), groups=groups, old={"a": earlier, "b": earlier})
    alone = batch_of(data, index)
    return alone, Companions(negatives, data.groups, data, np.random.default_rng(0)).join(alone, index, look_up)


def made(source: list[int], owner: list[int] | None = None, draws: int = 1, m: str = "b") -> Negatives:
    X = 100 + np.arange(len(source))[:, None] + np.zeros(two_views(2)[m].shape[1])
    return Negatives(X, np.array(source), None if owner is None else np.array(owner), draws)


def test_negatives_stand_behind_the_batch_in_their_modality_alone() -> None:
    alone, batch = joined({"b": made([3, 5, 9])}, np.array([5, 0, 3]))
    assert len(batch.relevance) == 5
    assert batch.present["a"].tolist() == [True] * 3 + [False] * 2
    assert batch.present["b"].all()
    assert sorted(batch.x["b"][3:, 0].tolist()) == [100, 101]  # those of 3 and 5, not of 9
    assert (batch.x["a"][3:] == 0).all()
    for part in ("x", "clean", "present"):
        for m in "ab":
            assert torch.equal(getattr(batch, part)[m][:3], getattr(alone, part)[m])
    assert torch.equal(batch.relevance[:3, :3], alone.relevance)
    assert (batch.relevance[3:] == 0).all()
    assert (batch.relevance[:, 3:] == 0).all()
    assert sorted(batch.groups[3:].tolist()) == [3, 5]


def test_a_negative_has_no_vector_in_an_earlier_space() -> None:
    alone, batch = joined({"b": made([3, 5])}, np.array([5, 0, 3]))
    for m in "ab":
        assert torch.equal(batch.old[m][:3], alone.old[m])
        assert (batch.old[m][3:] == 0).all()


def test_both_modalities_may_have_negatives() -> None:
    _, batch = joined({"b": made([3, 5]), "a": made([3], m="a")}, np.array([5, 3, 0]))
    assert batch.present["a"].tolist() == [True] * 3 + [False, False, True]
    assert batch.present["b"].tolist() == [True] * 3 + [True, True, False]
    assert batch.x["a"][5, 0] == 100


def test_a_negative_is_relevant_to_whom_it_belongs() -> None:
    groups = np.array([0, 0, *range(2, 12)])
    _, batch = joined({"b": made([3, 5], owner=[1, -1])}, np.array([0, 1, 3, 5]), groups)
    owned, nobodys = (4, 5) if batch.x["b"][4, 0] == 100 else (5, 4)
    assert batch.relevance[owned].nonzero().squeeze(1).tolist() == [0, 1, owned]
    assert batch.relevance[:, owned].nonzero().squeeze(1).tolist() == [0, 1, owned]
    assert (batch.relevance[nobodys] == 0).all()
    assert batch.groups[owned] == 0


def test_an_owner_who_is_not_in_the_batch_makes_no_difference_to_it() -> None:
    alone, batch = joined({"b": made([3], owner=[7])}, np.array([0, 3]))
    assert torch.equal(batch.relevance[:2, :2], alone.relevance)
    assert (batch.relevance[2, :2] == 0).all()


def test_graded_relevance_is_that_of_the_owner() -> None:
    def look_up(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(1 / (1 + np.abs(rows[:, None] - rows[None, :]))).float()

    _, batch = joined({"b": made([3, 0], owner=[2, -1])}, np.array([0, 3, 4]), look_up=look_up)
    owned, nobodys = (3, 4) if batch.x["b"][3, 0] == 100 else (4, 3)
    torch.testing.assert_close(batch.relevance[:3, owned], torch.tensor([1 / 3, 1 / 2, 1 / 3]))
    torch.testing.assert_close(batch.relevance[:3, :3], look_up(np.array([0, 3, 4])))
    assert (batch.relevance[nobodys] == 0).all()


@pytest.mark.parametrize("draws", [1, 2, 50])
def test_an_item_brings_some_of_its_own_and_none_twice(draws: int) -> None:
    source = [2] * 5 + [4] * 2 + [7]
    companions = {"b": made(source, draws=draws)}
    data = PairData.check(two_views(12))
    index = np.array([7, 2, 9, 4])
    seen: set[int] = set()
    for seed in range(20):
        found = Companions(companions, data.groups, data, np.random.default_rng(seed))
        of, which = found.tables["b"].drawn(index, np.random.default_rng(seed))
        assert [source[w] for w in which] == index[of].tolist()
        assert len(set(which.tolist())) == len(which)
        assert (np.bincount(index[of], minlength=12) <= draws).all()
        assert set(index[of].tolist()) == {2, 4, 7}
        seen |= set(which.tolist())
    assert seen == set(range(8))


def test_negatives_of_items_that_are_not_trained_on_stay_away() -> None:
    data = PairData.check(two_views(12))
    training = data.take(np.array([8, 3, 5]))
    companions = Companions({"b": made([3, 0, 8, 8])}, data.groups, training, np.random.default_rng(0))
    batch = companions.join(batch_of(training, np.array([0, 1, 2])), np.array([0, 1, 2]), None)
    assert len(batch.relevance) == 5
    assert set(batch.x["b"][3:, 0].tolist()) <= {100, 102, 103}


def test_a_batch_without_negatives_is_left_as_it_is() -> None:
    alone, batch = joined({"b": made([3])}, np.array([0, 1]))
    assert batch is alone


def views_of(batch: Batch, seed: int = 0) -> Views:
    g = torch.Generator().manual_seed(seed)
    z = {
        m: torch.nn.functional.normalize(torch.randn(len(batch.groups), 5, generator=g, dtype=torch.float64), dim=1)
        for m in batch.x
    }
    return Views(
        z=z, present=batch.present, relevance=batch.relevance.double(), groups=batch.groups,
        frozen={m: v.double() for m, v in batch.clean.items()}, old={m: v.double() for m, v in batch.old.items()},
    )  # fmt: skip


def test_the_loss_is_infonce_with_more_candidates() -> None:
    _, batch = joined({"b": made([3, 5])}, np.array([5, 3, 0, 1]))
    views = views_of(batch)
    loss = InfoNCE(temperature=0.2).double()(views).item()
    s = (views.z["a"][:4] @ views.z["b"].T) / 0.2  # four pictures ask, all six texts are there
    there = (torch.logsumexp(s, 1) - s.diagonal()).mean()
    back = s[:, :4].T
    assert loss == pytest.approx(float(there + (torch.logsumexp(back, 1) - back.diagonal()).mean()) / 2, rel=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_them(name: str) -> None:
    _, batch = joined({"b": made([3, 5], owner=[1, -1])}, np.array([5, 3, 0, 1, 2, 4]))
    views = views_of(batch)
    views.frozen = {m: z.clone() for m, z in views.z.items()}  # what heads that do nothing would get
    torch.manual_seed(0)
    objective = build("Objective", name)
    if hasattr(objective, "prepare"):
        objective.prepare({m: torch.nn.Identity() for m in "ab"}, 5)
    for z in views.z.values():
        z.requires_grad_()
    loss = objective.double()(views)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(z.grad).all() for z in views.z.values())
    assert (views.z["a"].grad[6:] == 0).all()


def fitted(**options: Any) -> Any:
    return fit_heads(two_views(120), **{**SMALL, "epochs": 2, **options})


def test_training_sees_them_and_the_batches_stay_the_same() -> None:
    class Watching(ObjectiveModule):
        seen: list[tuple[list[float], int]] = []

        def forward(self, views: Views) -> torch.Tensor:
            pairs = views.present["a"] & views.present["b"]
            self.seen.append((views.frozen["a"][pairs, 0].tolist(), len(views)))
            return views.z["a"].sum() * 0

    source = np.arange(0, 120, 2)
    negatives = {"b": Negatives(two_views(60, seed=5)["b"], source)}
    fitted(objective=Watching(), valid=None)
    without, Watching.seen = Watching.seen, []
    fitted(objective=Watching(), valid=None, negatives=negatives)
    assert [pairs for pairs, _ in Watching.seen] == [pairs for pairs, _ in without]
    assert sum(n for _, n in Watching.seen) == sum(n for _, n in without) + 2 * 60


def test_they_are_learned_from_by_seed_and_with_everything_else() -> None:
    negatives = {"b": Negatives(two_views(60, seed=5)["b"], np.arange(60), draws=2)}
    assert not same_heads(fitted(), fitted(negatives=negatives))
    assert same_heads(fitted(negatives=negatives), fitted(negatives=negatives))
    groups = np.arange(120) // 2
    mixed = fitted(
        negatives=negatives, augment={"noise": 0.1, "mixup": 0.2}, groups=groups, noisy_pairs="drop",
        relevance=lambda i: (groups[i][:, None] == groups[i][None, :]).astype(np.float32),
    )  # fmt: skip
    assert np.isfinite(mixed.history[-1]["loss"])


def test_gradient_caching_trains_the_same_heads_with_negatives() -> None:
    negatives = {"b": Negatives(two_views(60, seed=5)["b"], np.arange(60))}
    head = {"name": "mlp", "hidden": 16, "dropout": 0.0}
    whole, parts = (fitted(negatives=negatives, head=head, chunk_size=size) for size in (None, 16))
    X = two_views(20, seed=3)
    for m in "ab":
        np.testing.assert_allclose(whole.heads[m](X[m]), parts.heads[m](X[m]), atol=1e-4)


def test_a_planted_difference_that_pairs_never_show_is_learned_from_negatives() -> None:
    # Texts say a thing and a detail; in training every thing has one detail, so the thing alone tells all pairs apart.
    rng = np.random.default_rng(0)
    thing, detail = np.eye(40), np.eye(2)

    def view(t: np.ndarray, d: np.ndarray) -> np.ndarray:
        return np.hstack([thing[t], detail[d]]).astype(np.float32)

    t = np.tile(np.arange(40), 5)
    d = rng.integers(0, 2, 40)[t]
    turn = np.linalg.qr(rng.normal(size=(42, 42)))[0]
    X = {"a": (view(t, d) @ turn).astype(np.float32), "b": view(t, d)}
    other = {"a": (view(t, 1 - d) @ turn).astype(np.float32), "b": view(t, 1 - d)}

    def right(**options: Any) -> float:
        heads = fit_heads(
            X, groups=t, epochs=15, batch_size=50, dim=16, head="linear", valid=None, baselines=(), **options
        ).heads
        z = {m: heads[m](X[m]) for m in "ab"}
        return float(((z["a"] * z["b"]).sum(1) - (z["a"] * heads["b"](other["b"])).sum(1)).min())

    assert right(negatives={"b": Negatives(other["b"], np.arange(200))}) > right()


@pytest.mark.parametrize(
    ("negatives", "words"),
    [
        ({"c": made([0])}, "modality 'c'"),
        ({"b": np.zeros((1, 30))}, r"must be Negatives\(X, source\)"),
        ({"b": Negatives(np.zeros((2, 7)), np.array([0, 1]))}, "dimension 7"),
        ({"b": Negatives(np.zeros((2, 30)), np.array([0]))}, "source of"),
        ({"b": Negatives(np.zeros((1, 30)), np.array([12]))}, "positions from 0 to 11"),
        ({"b": Negatives(np.zeros((1, 30)), np.array([0]), np.array([-2]))}, "positions from -1 to 11"),
        ({"b": Negatives(np.zeros((1, 30)), np.array([0.0]))}, "source of"),
        ({"b": Negatives(np.full((1, 30), np.nan), np.array([0]))}, "NaN"),
        ({"b": Negatives(np.zeros((1, 30)), np.array([0]), np.array([1]))}, "it is a positive"),
        ({"b": made([0], draws=0)}, "draws"),
    ],
)
def test_wrong_negatives_are_named(negatives: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        joined(negatives, np.arange(3), np.array([0, 0, *range(2, 12)]))
