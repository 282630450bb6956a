"""Change the encoder without re-embedding: bridges between an old and a new space, measured, that may say no.

This room works on arrays. `Collection.upgrade` gives it vectors of both spaces and carries out what it advises. Merging
makes one model of several that were tuned from the same weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonspace.core.lazy import lazy

if TYPE_CHECKING:
    from commonspace.upgrade.bridges.base import Bridge
    from commonspace.upgrade.calibrators import Calibrator, migrate_calibrator
    from commonspace.upgrade.cutoffs import Cutoff, migrate_cutoff
    from commonspace.upgrade.merging import Barrier, Merged, MergeReport, Probe, barrier, interpolate, merge, soup
    from commonspace.upgrade.migration import Migration
    from commonspace.upgrade.options import Corpus, Cost, Option
    from commonspace.upgrade.pairs import Pairs
    from commonspace.upgrade.plan import Plan, plan_upgrade
    from commonspace.upgrade.probes import Probes
    from commonspace.upgrade.scale import Level, Scale, fit_scale, level

#: Name -> the module that has it, imported on first use, because some need torch.
_LAZY = {
    "Barrier": "merging",
    "Bridge": "bridges.base",
    "Calibrator": "calibrators",
    "Corpus": "options",
    "Cost": "options",
    "Cutoff": "cutoffs",
    "Level": "scale",
    "MergeReport": "merging",
    "Merged": "merging",
    "Migration": "migration",
    "Option": "options",
    "Pairs": "pairs",
    "Plan": "plan",
    "Probe": "merging",
    "Probes": "probes",
    "Scale": "scale",
    "barrier": "merging",
    "fit_scale": "scale",
    "interpolate": "merging",
    "level": "scale",
    "merge": "merging",
    "migrate_calibrator": "calibrators",
    "migrate_cutoff": "cutoffs",
    "plan_upgrade": "plan",
    "soup": "merging",
}

__all__ = [
    "Barrier",
    "Bridge",
    "Calibrator",
    "Corpus",
    "Cost",
    "Cutoff",
    "Level",
    "MergeReport",
    "Merged",
    "Migration",
    "Option",
    "Pairs",
    "Plan",
    "Probe",
    "Probes",
    "Scale",
    "barrier",
    "fit_scale",
    "interpolate",
    "level",
    "merge",
    "migrate_calibrator",
    "migrate_cutoff",
    "plan_upgrade",
    "soup",
]

__getattr__, __dir__ = lazy(__name__, _LAZY, __all__)
