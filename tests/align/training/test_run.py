from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from commonspace.align.training.run import Run
from commonspace.core.errors import CommonspaceError


class Paced:
    """A trainer that trains nothing: two steps an epoch, whose losses are given."""

    def __init__(self, losses: Callable[[int], float], epochs: int = 4) -> None:
        self.losses = losses
        self.data = range(10)
        self.recipe = SimpleNamespace(epochs=epochs, patience=None, lr=0.1)
        self.lr = 0.1
        self.diagnostics: dict[str, float] = {}
        self.now = 0
        self.restored: list[int] = []
        self.seen: dict[str, torch.Tensor] = {}

    def epoch(self, number: int) -> Iterator[torch.Tensor]:
        self.now = number + 1
        for _ in range(2):
            yield torch.tensor(self.losses(number))

    def snapshot(self) -> int:
        return self.now

    def restore(self, snapshot: int) -> None:
        self.restored.append(snapshot)


def interrupted(number: int) -> float:
    if number == 2:
        raise KeyboardInterrupt
    return 1.0


def trained(trainer: Any, **options: Any) -> Run:
    run = Run(trainer, **options)
    run.train()
    return run


def test_without_validation_the_last_epoch_is_kept() -> None:
    trainer = Paced(lambda number: float(number))
    run = trained(trainer)
    assert (run.stopped, run.best_epoch, trainer.restored) == ("epochs", 4, [4])
    assert [entry["loss"] for entry in run.history] == [0.0, 1.0, 2.0, 3.0]


def test_ctrl_c_keeps_the_epochs_that_are_over_and_is_passed_on_before_the_first() -> None:
    trainer = Paced(interrupted)
    run = trained(trainer)
    assert (run.stopped, run.best_epoch, trainer.restored) == ("interrupt", 2, [2])

    def at_once(number: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(Paced(at_once))


def test_time_ends_an_epoch_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("commonspace.align.training.run.time", clock)
    run = trained(Paced(lambda number: 1.0, epochs=50), max_seconds=7)
    assert run.stopped == "time"
    assert 0 < len(run.history) < 50


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(CommonspaceError, match=r"diverged in epoch 2 .*lower lr, now 0.1"):
        trained(Paced(lambda number: float("nan") if number else 1.0))


class Shrinking(Paced):
    """Vectors that fill their space at first and then move to one place."""

    def epoch(self, number: int) -> Iterator[torch.Tensor]:
        spread = torch.randn(64, 16, generator=torch.Generator().manual_seed(number))
        towards = torch.zeros(64, 16)
        towards[:, 0] = 1.0
        share = 0.0 if number < 4 else 1.0
        self.seen = {"text": spread, "image": (1 - share) * spread + share * towards}
        yield from super().epoch(number)


def test_a_collapse_is_said_once_and_names_the_modality() -> None:
    trainer = Shrinking(lambda number: 1.0, epochs=14)
    with pytest.warns(RuntimeWarning, match="the vectors of 'image' have collapsed") as said:
        run = trained(trainer)
    assert len(said) == 1
    assert run.history[0]["rank text"] > 10
    assert run.history[-1]["rank image"] < 2 < run.history[-1]["rank text"]


def test_too_few_rows_have_no_rank() -> None:
    trainer = Paced(lambda number: 1.0, epochs=1)
    trainer.seen = {"text": torch.randn(8, 16)}
    assert "rank text" not in trained(trainer).history[0]
