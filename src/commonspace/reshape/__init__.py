"""Closed-form maps: between vector sets (CCA, ridge, Procrustes ...), and of one space (centring, whitening ...)."""

from commonspace.reshape.anchors import choose_anchors
from commonspace.reshape.cca import CCA
from commonspace.reshape.centring import Centring
from commonspace.reshape.local_cka import local_cka
from commonspace.reshape.procrustes import Procrustes
from commonspace.reshape.reduced_rank import ReducedRank
from commonspace.reshape.relative import Relative
from commonspace.reshape.retrofit import Retrofit
from commonspace.reshape.ridge import Ridge
from commonspace.reshape.shared_subspace import SharedSubspace
from commonspace.reshape.sitta import Sitta
from commonspace.reshape.top_components import AllButTheTop
from commonspace.reshape.vocabulary import SharedVocabulary, shared_vocabulary
from commonspace.reshape.whitening import Whitening

__all__ = [
    "CCA",
    "AllButTheTop",
    "Centring",
    "Procrustes",
    "ReducedRank",
    "Relative",
    "Retrofit",
    "Ridge",
    "SharedSubspace",
    "SharedVocabulary",
    "Sitta",
    "Whitening",
    "choose_anchors",
    "local_cka",
    "shared_vocabulary",
]
