"""What objectives share: three hooks that `fit` calls, and the sum of several objectives.

An objective with parameters of its own (a temperature, predictors, prototypes) is a torch module, so that its
parameters are trained with the heads. Three hooks, all optional for third parties:

    prepare(heads, dim)   before training; parameters that depend on the modalities are made here
    before_step(done)     before each step, with the share of training done; what changes as training goes on
    after_step()          after each step of the optimiser; moving averages are moved here

and two wishes, for objectives that read more than the rows themselves:

    wants_layers          True for `Views.layers`
    wants_mixed           a `Mixing` for `Views.mixed`; may change from step to step

A constructor may say only what differs from its base and hand on the rest, see `commonspace.core.handed_on`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.align.mixing import Mixing, mixing_of
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.handed_on import make_whole
from commonspace.core.paper import Paper
from commonspace.core.registry import build, entry_of
from commonspace.core.views import Views

# Its recipe is the default of `fit_heads`; its losses without negatives are `PairExtra`s.
IMPROVED_BASELINES = Paper(
    "Improved baselines for vision-language pre-training", 2023, "https://arxiv.org/abs/2305.08675"
)


class ObjectiveModule(nn.Module):
    """Base of objectives: subclasses define `forward(views)` and fill `diagnostics`."""

    def __init__(self) -> None:
        super().__init__()
        self._diagnostics: dict[str, float] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_whole(cls)

    @property
    def diagnostics(self) -> dict[str, float]:
        """Numbers of the last call worth showing."""
        return dict(self._diagnostics)

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make what depends on the modalities and the dimension of the space."""

    def parts(self) -> Iterable[Any]:
        """Return the objectives that this one is made of, which are told what it is told."""
        return ()

    @property
    def wants_mixed(self) -> Mixing | None:
        """What mixtures a part wants of this step's inputs, if any."""
        return mixing_of(self.parts())

    def before_step(self, done: float) -> None:
        """Prepare for a step, when a share of training (0 to 1) is done."""
        tell(self.parts(), "before_step", done)

    def after_step(self) -> None:
        """Follow the heads after a step of the optimiser."""
        tell(self.parts(), "after_step")


class PairExtra(ObjectiveModule):
    """Base of losses on the pairs themselves, to be added to a contrastive one: ``["infonce", "siamlip"]``.

    The loss is `weight` times the mean of `of_pair` over the pairs of modalities that at least two items share; these
    losses know no negatives, so `relevance` beyond the pair itself is not read.
    """

    name: str
    weight: float

    def of_pair(self, views: Views, a: str, b: str, rows: Tensor) -> Tensor:
        """Return the loss of one pair of modalities over the items at `rows`, which have both."""
        raise NotImplementedError

    def forward(self, views: Views) -> Tensor:
        """Return the weighted mean over pairs of modalities; zero for a batch without pairs."""
        if not self._prepared:
            raise unprepared(self)
        losses = []
        for a, b in views.pairs():
            rows = shared_rows(views, a, b)
            if len(rows) >= 2:
                losses.append(self.of_pair(views, a, b, rows))
        if not losses:
            return zero_of(views)
        loss = torch.stack(losses).mean()
        self._diagnostics = {self.name: loss.item()}
        return self.weight * loss

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Make the networks of each modality; subclasses extend this."""
        self._prepared = True

    _prepared = False


class Sum(ObjectiveModule):
    """Several objectives, added.

    Parameters
    ----------
    objectives : sequence of objectives
        Each already carries its weight.
    """

    def __init__(self, objectives: Sequence[Any]) -> None:
        super().__init__()
        if not objectives:
            raise BadInput("an objective is needed, the list is empty")
        self.objectives = list(objectives)
        self.modules_ = nn.ModuleList([o for o in objectives if isinstance(o, nn.Module)])

    def forward(self, views: Views) -> Tensor:
        """Return the sum of the losses."""
        return torch.stack([o(views) for o in self.objectives]).sum()

    @property
    def diagnostics(self) -> dict[str, float]:
        """The numbers of every part."""
        return {k: v for o in self.objectives for k, v in o.diagnostics.items()}

    @property
    def wants_layers(self) -> bool:
        """Whether a part wants `Views.layers`."""
        return any(getattr(o, "wants_layers", False) for o in self.objectives)

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        """Prepare every part that wants it."""
        tell(self.objectives, "prepare", heads, dim)

    def parts(self) -> Iterable[Any]:
        """Return the objectives that are added."""
        return self.objectives


def build_objective(spec: Any, **defaults: Any) -> Any:
    """Return an objective from a name, a mapping, an instance, or a list of these to be added."""
    if isinstance(spec, list | tuple):
        return Sum([build("Objective", s, **defaults) for s in spec])
    return build("Objective", spec, **defaults)


def tell(objectives: Iterable[Any], hook: str, *news: Any) -> None:
    """Call a hook of every objective that has it."""
    for objective in objectives:
        if hasattr(objective, hook):
            getattr(objective, hook)(*news)


def unprepared(objective: ObjectiveModule) -> NotFitted:
    """Return the error of an objective that was called before `prepare`."""
    entry = entry_of(objective)
    name = entry.name if entry else type(objective).__name__
    return NotFitted(f"{name} needs prepare(heads, dim) before its first batch; fit_heads does that")


def zero_of(views: Views) -> Tensor:
    """Return a zero that is differentiable with respect to every modality, for a batch with nothing to learn from."""
    return torch.stack([z.sum() * 0 for z in views.z.values()]).sum()


def shared_rows(views: Views, a: str, b: str) -> Tensor:
    """Return the positions of items that have both modalities."""
    return torch.nonzero(views.present[a] & views.present[b]).squeeze(1)
