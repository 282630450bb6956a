"""What merging makes small on its probes: a registered objective, a function of yours, or one without labels.

    "infonce" ...       any objective of `align` on the views of a batch, with its temperature held fixed
    function            objective(model, batch) -> scalar tensor, where model(inputs, view) is the merged model
    Entropy             mean entropy of a row's choice among candidates: be sure, but not all of the same
    PseudoLabels        cross-entropy of the own best candidate, for rows that are sure enough of it

The last two are for test-time adaptation: rows of the new kind, no labels, and the candidates that they choose from.

Source: the second term of `Entropy` is that of "Do We Really Need to Access the Source Data? Source Hypothesis Transfer
for Unsupervised Domain Adaptation", 2020.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from commonspace.align.objectives.base import build_objective
from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_share
from commonspace.core.views import Views
from commonspace.upgrade.merging.probes import Batch, as_probe

Run = Callable[..., Any]
Objective = Callable[[Run, Any], Tensor]


class OnViews:
    """A registered objective on unit rows of every view.

    Parameters
    ----------
    spec : name, mapping, list or instance
        As in `fit_heads`; an instance is copied. What it would learn itself, such as a temperature, stays as it starts.
    """

    def __init__(self, spec: Any) -> None:
        self.objective = copy.deepcopy(build_objective(spec))  # that of the user goes on learning where it learns
        if isinstance(self.objective, nn.Module):
            self.objective.requires_grad_(False)

    def __call__(self, run: Run, batch: Any) -> Tensor:
        """Return the loss of a batch."""
        given = batch if isinstance(batch, Batch) else as_probe(batch)
        if len(given.views) < 2:
            raise BadInput(f"a contrastive objective needs two views of each thing, a probe has {list(given.views)}")
        z = {view: normalize(unit_input(run(x, view)), dim=1) for view, x in given.views.items()}
        first = next(iter(z.values()))
        if isinstance(self.objective, nn.Module):
            self.objective.to(first.device)  # its temperature must be where the rows are
        n = len(first)
        key = torch.arange(n) if given.groups is None else torch.as_tensor(given.groups)
        key = key.to(first.device)
        present = {view: torch.ones(n, dtype=torch.bool, device=first.device) for view in z}
        loss: Tensor = self.objective(Views(z, present, (key[:, None] == key[None, :]).to(first.dtype), groups=key))
        return loss


class _Choice:
    """Base of the objectives without labels: each row of a view chooses among candidates."""

    def __init__(self, candidates: Any, *, view: str | None = None, temperature: float = 0.07) -> None:
        if not temperature > 0:
            raise BadInput(f"temperature must be positive, not {temperature!r}")
        self.candidates = candidates
        self.view = view
        self.temperature = temperature

    def logits(self, run: Run, batch: Any) -> Tensor:
        """Return (n, c) of all rows of all views of a batch."""
        given = batch if isinstance(batch, Batch) else as_probe(batch)
        rows = torch.cat([normalize(unit_input(run(x, view)), dim=1) for view, x in given.views.items()])
        chosen = torch.as_tensor(self.candidates) if self.view is None else unit_input(run(self.candidates, self.view))
        return rows @ normalize(chosen.to(rows.device, rows.dtype), dim=1).T / self.temperature


class Entropy(_Choice):
    """Mean entropy of the rows' choices, less that of their mean: be sure, whatever of, but not all of the same.

    Without the second term the least loss is that of a model that takes everything for one thing, and where the start
    is wrong more often than right that is where learning ends.

    Parameters
    ----------
    candidates, view, temperature
        Rows of the space to choose from, such as the vectors of class names; or, with `view`, what the merged model
        itself encodes into them, called for that view. Logits are cosines divided by the temperature.
    spread : float
        Weight of the second term, at least 0; less than 1 where candidates are known to be of unequal frequency.
    """

    def __init__(
        self, candidates: Any, *, view: str | None = None, temperature: float = 0.07, spread: float = 1.0
    ) -> None:
        super().__init__(candidates, view=view, temperature=temperature)
        if not spread >= 0:
            raise BadInput(f"spread must be at least 0, not {spread!r}")
        self.spread = spread

    def __call__(self, run: Run, batch: Any) -> Tensor:
        """Return the loss of a batch."""
        log_p = self.logits(run, batch).log_softmax(1)
        p = log_p.exp()
        mean = p.mean(0)
        return -(p * log_p).sum(1).mean() + self.spread * (mean * mean.clamp_min(1e-30).log()).sum()


class PseudoLabels(_Choice):
    """Cross-entropy of each row's own best candidate, over rows whose probability of it reaches `sure`.

    Parameters
    ----------
    candidates, view, temperature
        As for `Entropy`.
    sure : float
        Probability that a row must give its best candidate to count.
    """

    def __init__(
        self, candidates: Any, *, view: str | None = None, temperature: float = 0.07, sure: float = 0.9
    ) -> None:
        super().__init__(candidates, view=view, temperature=temperature)
        self.sure = check_share("sure", sure)

    def __call__(self, run: Run, batch: Any) -> Tensor:
        """Return the loss of a batch; zero where no row is sure."""
        logits = self.logits(run, batch)
        with torch.no_grad():
            best, label = logits.softmax(1).max(1)
            counts = best >= self.sure
        if not counts.any():
            return logits.sum() * 0
        return cross_entropy(logits[counts], label[counts])


def objective_of(spec: Any) -> Objective:
    """Return an objective from a name, mapping, list, registered instance or function."""
    if isinstance(spec, str | Mapping | list | tuple):
        return OnViews(spec)
    if isinstance(spec, nn.Module) and hasattr(spec, "diagnostics"):
        return OnViews(spec)
    if callable(spec):
        made: Objective = spec
        return made
    raise BadInput(
        f"objective must be the name of one, such as 'infonce', or a function of (model, batch), not {spec!r}"
    )


def unit_input(rows: Any) -> Tensor:
    """Return the rows of a model's output: a tensor, or the "sentence_embedding" of a mapping."""
    if isinstance(rows, Mapping) and "sentence_embedding" in rows:
        rows = rows["sentence_embedding"]
    if not isinstance(rows, Tensor) or rows.ndim != 2:
        raise BadInput(
            "the model gives no (n, dim) rows for a view: wrap it in a module that does, or give an objective of your "
            "own, a function of (model, batch)"
        )
    return rows
