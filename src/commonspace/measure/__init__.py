"""Retrieval metrics with intervals and paired tests; health without labels; spaces beside each other and people.

All of it works on plain arrays.
"""

from commonspace.measure.health.collapse import CollapseAlarm, Collapsed
from commonspace.measure.health.dimensions import Dimensions, dimensions
from commonspace.measure.health.drift import Drift, drift
from commonspace.measure.health.duplicates import DuplicateGroup, Duplicates, duplicates
from commonspace.measure.health.gap import Gap, contrastive_gap
from commonspace.measure.health.hubness import Hub, Hubness, hubness
from commonspace.measure.health.icnn import icnn_score
from commonspace.measure.health.imbalance import Imbalance, imbalance
from commonspace.measure.health.intramodal import Detour, IntraModal, intramodal
from commonspace.measure.health.isotropy import Isotropy, isotropy
from commonspace.measure.health.moved import Moved, moved
from commonspace.measure.health.norms import Norms, norms
from commonspace.measure.health.outliers import Outliers, PairOutliers, outliers, pair_outliers
from commonspace.measure.health.spectrum import Spectrum, spectrum
from commonspace.measure.health.spurious import Spurious, spurious_context
from commonspace.measure.health.subgroups import Subgroups, pareto_front, subgroup_curve
from commonspace.measure.judgements.adjudication import Adjudicator, judge_next
from commonspace.measure.judgements.adjudication_curves import (
    AdjudicationCurves,
    AdjudicationPoint,
    adjudication_curves,
)
from commonspace.measure.judgements.agreement import CrossCheck, SystemCheck, cross_check
from commonspace.measure.judgements.overlap import RBO, jaccard, overlap, rbo
from commonspace.measure.judgements.qrels_power import QrelsPower, qrels_power
from commonspace.measure.metrics.calibration import Calibration, calibration
from commonspace.measure.metrics.evaluation import evaluate, evaluate_retrieval
from commonspace.measure.metrics.forgetting import Forgetting, retrieval_forgetting
from commonspace.measure.metrics.hit import Hit
from commonspace.measure.metrics.map import MAP
from commonspace.measure.metrics.mean_rank_variance import mean_rank_variance
from commonspace.measure.metrics.median_rank import MedianRank
from commonspace.measure.metrics.metric import RankMetric, metric
from commonspace.measure.metrics.mrr import MRR
from commonspace.measure.metrics.ndcg import NDCG
from commonspace.measure.metrics.precision import Precision
from commonspace.measure.metrics.r_precision import RPrecision
from commonspace.measure.metrics.ranks import Ranks
from commonspace.measure.metrics.rbp import RBP
from commonspace.measure.metrics.recall import Recall
from commonspace.measure.metrics.relevance import Relevance
from commonspace.measure.metrics.run_evaluation import evaluate_run, judged_share
from commonspace.measure.metrics.top_lists import evaluate_hits
from commonspace.measure.metrics.trec import read_qrels, read_run, write_qrels, write_run
from commonspace.measure.spaces.cka import estimate_cka, linear_cka
from commonspace.measure.spaces.compare_spaces import SpaceComparison, compare_spaces
from commonspace.measure.spaces.compatibility import Compatibility, compatibility
from commonspace.measure.spaces.human import Choices, compare_agreement, odd_one_out, rating_agreement, two_of_three
from commonspace.measure.spaces.mutual_knn import MutualKNN, mutual_knn
from commonspace.measure.spaces.procrustes_distance import ProcrustesDistance, procrustes_distance
from commonspace.measure.spaces.rank_stability import RankStability, rank_stability
from commonspace.measure.spaces.raters import Ceiling, RaterStudy, noise_ceiling, rater_study
from commonspace.measure.spaces.relative_similarity import RelativeSimilarity, relative_similarity
from commonspace.measure.spaces.rotation import Deviation, ModalityRotation, Rotation, rotation
from commonspace.measure.spaces.rsa import RSA, rsa, rsa_many
from commonspace.measure.spaces.shared_directions import SharedDirections, shared_directions
from commonspace.measure.spaces.stacked_similarity import Stacked, stack_similarities
from commonspace.measure.spaces.unit_matches import UnitMatches, match_units
from commonspace.measure.statistics.comparison import Comparison, compare, compare_many
from commonspace.measure.statistics.corrections import benjamini_hochberg, holm
from commonspace.measure.statistics.effects import detectable, effect_size
from commonspace.measure.statistics.estimates import Estimate, bootstrap, estimate
from commonspace.measure.statistics.rank_groups import RankGroups, rank_groups
from commonspace.measure.statistics.ratio import ratio

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "RBO",
    "RBP",
    "RSA",
    "AdjudicationCurves",
    "AdjudicationPoint",
    "Adjudicator",
    "Calibration",
    "Ceiling",
    "Choices",
    "CollapseAlarm",
    "Collapsed",
    "Comparison",
    "Compatibility",
    "CrossCheck",
    "Detour",
    "Deviation",
    "Dimensions",
    "Drift",
    "DuplicateGroup",
    "Duplicates",
    "Estimate",
    "Forgetting",
    "Gap",
    "Hit",
    "Hub",
    "Hubness",
    "Imbalance",
    "IntraModal",
    "Isotropy",
    "MedianRank",
    "ModalityRotation",
    "Moved",
    "MutualKNN",
    "Norms",
    "Outliers",
    "PairOutliers",
    "Precision",
    "ProcrustesDistance",
    "QrelsPower",
    "RPrecision",
    "RankGroups",
    "RankMetric",
    "RankStability",
    "Ranks",
    "RaterStudy",
    "Recall",
    "RelativeSimilarity",
    "Relevance",
    "Rotation",
    "SharedDirections",
    "SpaceComparison",
    "Spectrum",
    "Spurious",
    "Stacked",
    "Subgroups",
    "SystemCheck",
    "UnitMatches",
    "adjudication_curves",
    "benjamini_hochberg",
    "bootstrap",
    "calibration",
    "compare",
    "compare_agreement",
    "compare_many",
    "compare_spaces",
    "compatibility",
    "contrastive_gap",
    "cross_check",
    "detectable",
    "dimensions",
    "drift",
    "duplicates",
    "effect_size",
    "estimate",
    "estimate_cka",
    "evaluate",
    "evaluate_hits",
    "evaluate_retrieval",
    "evaluate_run",
    "holm",
    "hubness",
    "icnn_score",
    "imbalance",
    "intramodal",
    "isotropy",
    "jaccard",
    "judge_next",
    "judged_share",
    "linear_cka",
    "match_units",
    "mean_rank_variance",
    "metric",
    "moved",
    "mutual_knn",
    "noise_ceiling",
    "norms",
    "odd_one_out",
    "outliers",
    "overlap",
    "pair_outliers",
    "pareto_front",
    "procrustes_distance",
    "qrels_power",
    "rank_groups",
    "rank_stability",
    "rater_study",
    "rating_agreement",
    "ratio",
    "rbo",
    "read_qrels",
    "read_run",
    "relative_similarity",
    "retrieval_forgetting",
    "rotation",
    "rsa",
    "rsa_many",
    "shared_directions",
    "spectrum",
    "spurious_context",
    "stack_similarities",
    "subgroup_curve",
    "two_of_three",
    "write_qrels",
    "write_run",
]
