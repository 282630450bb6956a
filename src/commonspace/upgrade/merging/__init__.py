"""One model from several that were fine-tuned from the same weights: no training data, no second model to serve.

merged = merge(base, {"titles": a, "tags": b}, "self-positioning", probes={"titles": (x, y), "tags": (u, v)})
merged.model        of the kind of `base`: a head, the heads of a space, a torch module, a state
merged.report       weight of each task, cosines of the task vectors, gradients that conflict, figures
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonspace.core.lazy import lazy

if TYPE_CHECKING:
    from commonspace.upgrade.merging.barriers import Barrier, barrier
    from commonspace.upgrade.merging.interpolation import interpolate, soup
    from commonspace.upgrade.merging.kinship import Kinship
    from commonspace.upgrade.merging.merger import Merged, merge
    from commonspace.upgrade.merging.objectives import Entropy, PseudoLabels
    from commonspace.upgrade.merging.probes import Batch, Probe
    from commonspace.upgrade.merging.report import MergeReport

_LAZY = {
    "Barrier": "barriers",
    "Batch": "probes",
    "Entropy": "objectives",
    "Kinship": "kinship",
    "MergeReport": "report",
    "Merged": "merger",
    "Probe": "probes",
    "PseudoLabels": "objectives",
    "barrier": "barriers",
    "interpolate": "interpolation",
    "merge": "merger",
    "soup": "interpolation",
}

__all__ = [
    "Barrier",
    "Batch",
    "Entropy",
    "Kinship",
    "MergeReport",
    "Merged",
    "Probe",
    "PseudoLabels",
    "barrier",
    "interpolate",
    "merge",
    "soup",
]

__getattr__, __dir__ = lazy(__name__, _LAZY, __all__)
