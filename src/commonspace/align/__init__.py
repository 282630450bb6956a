"""Floor 2: light heads trained on frozen encoder outputs, so that items of every kind meet in one space.

Only this room trains, so only this room imports torch, and it does so on first use: a fitted head runs on NumPy alone
(`commonspace.align.forward`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonspace.core.lazy import lazy

if TYPE_CHECKING:
    from commonspace.align.baselines import compare_baselines
    from commonspace.align.continuing import Continued, continue_training
    from commonspace.align.curation import curate
    from commonspace.align.encoder_ranks import rank_encoders
    from commonspace.align.fit import FitResult, fit_heads
    from commonspace.align.forward import NumpyHead
    from commonspace.align.gap_bridge import GapBridge, choose_bridge
    from commonspace.align.grown_anchors import GrownAnchors, grow_anchors
    from commonspace.align.hygiene.noisy_labels import CleanedLabels, clean_labels
    from commonspace.align.hygiene.noisy_pairs import PairQuality, pair_quality
    from commonspace.align.hygiene.poison import TriggerReport, find_triggers
    from commonspace.align.hygiene.text_filters import FilteredTexts, filter_texts
    from commonspace.align.refinement import Refined, refine
    from commonspace.align.training.augment import Augment
    from commonspace.align.training.recipe import RECIPES, Recipe
    from commonspace.align.two_tier import TwoTier, fit_two_tier

_LAZY = {
    "Augment": "training.augment",
    "CleanedLabels": "hygiene.noisy_labels",
    "Continued": "continuing",
    "FilteredTexts": "hygiene.text_filters",
    "FitResult": "fit",
    "GapBridge": "gap_bridge",
    "GrownAnchors": "grown_anchors",
    "NumpyHead": "forward",
    "PairQuality": "hygiene.noisy_pairs",
    "RECIPES": "training.recipe",
    "Recipe": "training.recipe",
    "Refined": "refinement",
    "TriggerReport": "hygiene.poison",
    "TwoTier": "two_tier",
    "choose_bridge": "gap_bridge",
    "clean_labels": "hygiene.noisy_labels",
    "compare_baselines": "baselines",
    "continue_training": "continuing",
    "curate": "curation",
    "filter_texts": "hygiene.text_filters",
    "find_triggers": "hygiene.poison",
    "fit_heads": "fit",
    "fit_two_tier": "two_tier",
    "grow_anchors": "grown_anchors",
    "pair_quality": "hygiene.noisy_pairs",
    "rank_encoders": "encoder_ranks",
    "refine": "refinement",
}

__all__ = [
    "RECIPES",
    "Augment",
    "CleanedLabels",
    "Continued",
    "FilteredTexts",
    "FitResult",
    "GapBridge",
    "GrownAnchors",
    "NumpyHead",
    "PairQuality",
    "Recipe",
    "Refined",
    "TriggerReport",
    "TwoTier",
    "choose_bridge",
    "clean_labels",
    "compare_baselines",
    "continue_training",
    "curate",
    "filter_texts",
    "find_triggers",
    "fit_heads",
    "fit_two_tier",
    "grow_anchors",
    "pair_quality",
    "rank_encoders",
    "refine",
]

__getattr__, __dir__ = lazy(__name__, _LAZY, __all__)
