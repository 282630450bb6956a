"""`Run`: epoch after epoch, of which the best on held-out pairs is kept, until there is a reason to stop.

Ctrl-C is such a reason: what was best until then is kept. Only before the first epoch is over it is passed on.

After every epoch the effective rank of each modality's last batch goes into the history (see
`commonspace.measure.health.collapse`). Where it falls to almost nothing, all items have come to lie in one place, and a
warning says so once. Smaller losses of rank are no alarm: objectives that draw classes together make them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.align.data import PairData
from commonspace.align.training.trainer import Trainer
from commonspace.align.training.validation import retrieval_figures
from commonspace.core.errors import CommonspaceError
from commonspace.core.progress import task
from commonspace.core.warning import warn
from commonspace.measure import CollapseAlarm

# Of the highest rank seen: below that a space is taken for collapsed.
COLLAPSED = 0.02


class Run:
    """Epochs of a trainer until it is time to stop.

    Parameters
    ----------
    trainer : Trainer
        What is trained.
    valid : PairData, optional
        Pairs by whose mean reciprocal rank the best epoch is told; without them the last one is kept.
    max_seconds : float, optional
        When to stop at the latest.

    Attributes
    ----------
    history : list of dict
        One entry an epoch: loss, learning rate, diagnostics, figures of validation, seconds so far.
    best_epoch : int
        The epoch (from 1) whose weights the trainer has after `train`.
    stopped : {"epochs", "patience", "time", "interrupt"}
        Why training ended.
    """

    def __init__(self, trainer: Trainer, valid: PairData | None = None, max_seconds: float | None = None) -> None:
        self.trainer = trainer
        self.valid = valid
        self.max_seconds = max_seconds
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_mrr = -1.0
        self.best: Any = None
        self.stopped = "epochs"
        self.alarms: dict[str, CollapseAlarm] = {}
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.perf_counter() - self.start

    def train(self) -> None:
        """Run until epochs, patience or time are used up, or Ctrl-C."""
        recipe = self.trainer.recipe
        try:
            with task(f"Training heads on {len(self.trainer.data):,} items", total=recipe.epochs) as t:
                for number in range(recipe.epochs):
                    self._epoch(number)
                    t.advance(note=self._note())
                    if self.stopped == "time":
                        break
                    if recipe.patience and self.valid and number + 1 - self.best_epoch >= recipe.patience:
                        self.stopped = "patience"
                        break
        except KeyboardInterrupt:
            if not self.history:
                raise
            self.stopped = "interrupt"
        if self.best is not None:
            self.trainer.restore(self.best)

    def _epoch(self, number: int) -> None:
        losses: list[Tensor] = []
        for loss in self.trainer.epoch(number):
            losses.append(loss)
            if self.max_seconds is not None and self.seconds > self.max_seconds:
                self.stopped = "time"
                break
        mean = float(torch.stack(losses).mean())
        if not np.isfinite(mean):
            raise CommonspaceError(
                f"training diverged in epoch {number + 1} (loss {mean}): lower lr, now {self.trainer.recipe.lr:g}"
            )
        entry = {"epoch": number + 1, "loss": mean, "lr": self.trainer.lr, **self.trainer.diagnostics, **self._ranks()}
        if self.valid:
            figures = retrieval_figures(self.trainer.embed(self.valid), self.valid)
            entry |= {k: figures[k] for k in ("mrr", "r@1", "r@10") if k in figures}
        # Without validation data the newest weights are the best known.
        if not self.valid or entry.get("mrr", 0.0) > self.best_mrr:
            self.best_mrr = entry.get("mrr", -1.0)
            self.best_epoch = number + 1
            self.best = self.trainer.snapshot()
        self.history.append({**entry, "seconds": self.seconds})

    def _ranks(self) -> dict[str, float]:
        """Return the effective rank of each modality, with a warning when one goes; none without enough rows."""
        found = {}
        for m, z in self.trainer.seen.items():
            alarm = self.alarms.setdefault(m, CollapseAlarm(share=COLLAPSED, memory=0.01))
            before = alarm.collapsed
            if alarm.update(z.cpu().numpy()) and not before:
                warn(f"the vectors of {m!r} have collapsed: {alarm.message}")
            if alarm.history:
                found[f"rank {m}"] = alarm.rank
        return found

    def _note(self) -> str:
        last = self.history[-1]
        return f"mrr {last['mrr']:.3f}, best {self.best_mrr:.3f}" if "mrr" in last else f"loss {last['loss']:.3f}"
