"""What objectives on classes share: every item, whatever its modality, finds its class among one vector a class.

    C = the items' cosines with all class vectors           T_ic = sum of R_ij over items j of class c, rows sum to one

The classes are the numbers in `Views.groups`; the relevance R may say that an item belongs to several. Items of all
modalities stand below one another in one table, so that modalities meet at the class vectors even where no item has
two of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from commonspace.align.objectives.base import ObjectiveModule, zero_of
from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_positive
from commonspace.core.views import Views


class ClassVectors(ObjectiveModule):
    """Base of losses over class vectors; subclasses say which vectors and what the cosines cost.

    Parameters
    ----------
    classes : int
        Number of class vectors: groups are 0 to classes - 1. More than there are leaves room for later ones.
    """

    name: str

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = check_positive("classes", classes)
        if classes < 2:
            raise BadInput(f"classes must be at least 2, not {classes}: one class is told from nothing")

    def class_vectors(self) -> Tensor:
        """Return (classes, dim) unit rows."""
        raise NotImplementedError

    def cost(self, cosines: Tensor, targets: Tensor) -> Tensor:
        """Return (r,) what every item costs, from (r, classes) cosines and targets whose rows sum to one."""
        raise NotImplementedError

    def forward(self, views: Views) -> Tensor:
        """Return the mean over the items of all modalities; zero for a batch without any."""
        targets = self.targets_of(views)
        told = (targets > 0).any(1)
        seen = {m: here & told for m, here in views.present.items()}
        units = torch.cat([z[seen[m]] for m, z in views.z.items()])
        self._diagnostics = {}
        if not len(units):
            return zero_of(views)
        table = torch.cat([targets[here] for here in seen.values()])
        cosines = units @ self.class_vectors().to(units.dtype).T
        hit = table.gather(1, cosines.detach().argmax(1, keepdim=True)) > 0
        self._diagnostics["accuracy"] = float(hit.float().mean())
        return self.cost(cosines, table).mean()

    def targets_of(self, views: Views) -> Tensor:
        """Return (batch, classes) which classes each item belongs to; a row sums to one, or to zero if to none."""
        if views.groups is None:
            raise BadInput(f"{self.name} needs the class of every item: pass groups to fit, numbered from 0")
        low, high = int(views.groups.min()), int(views.groups.max())
        if low < 0 or high >= self.classes:
            raise BadInput(
                f"{self.name} has {self.classes} classes, 0 to {self.classes - 1}, but a group is number "
                f"{low if low < 0 else high}: number the groups from 0, or pass more classes"
            )
        here = torch.stack(list(views.present.values())).any(0)
        relevance = (views.relevance * here).to(next(iter(views.z.values())).dtype)
        targets: Tensor = relevance.new_zeros(len(views), self.classes).index_add_(1, views.groups, relevance)
        return targets / targets.sum(1, keepdim=True).clamp_min(torch.finfo(targets.dtype).tiny)
