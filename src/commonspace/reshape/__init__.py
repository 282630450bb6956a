"""Closed-form maps: between vector sets (CCA, ridge, Procrustes ...), and of one space (centring, whitening ...)."""

from commonspace.reshape.cca import CCA
from commonspace.reshape.centring import Centring
from commonspace.reshape.procrustes import Procrustes
from commonspace.reshape.reduced_rank import ReducedRank
from commonspace.reshape.ridge import Ridge
from commonspace.reshape.top_components import AllButTheTop
from commonspace.reshape.whitening import Whitening

__all__ = ["CCA", "AllButTheTop", "Centring", "Procrustes", "ReducedRank", "Ridge", "Whitening"]
