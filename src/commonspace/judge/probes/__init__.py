"""Probes: what an encoder does to items that were changed on purpose."""

from commonspace.judge.probes.manipulations import IMAGES, TEXTS
from commonspace.judge.probes.robustness import Robustness, robustness
from commonspace.judge.probes.tables import TableProperties, table_properties

__all__ = ["IMAGES", "TEXTS", "Robustness", "TableProperties", "robustness", "table_properties"]
