"""Retrieval metrics with intervals and paired tests; health without labels; spaces beside each other and people.

All of it works on plain arrays.
"""

from commonspace.measure.adjudication import Adjudicator, judge_next
from commonspace.measure.adjudication_curves import AdjudicationCurves, AdjudicationPoint, adjudication_curves
from commonspace.measure.agreement import CrossCheck, SystemCheck, cross_check
from commonspace.measure.calibration import Calibration, calibration
from commonspace.measure.cka import estimate_cka, linear_cka
from commonspace.measure.collapse import CollapseAlarm, Collapsed
from commonspace.measure.compare_spaces import SpaceComparison, compare_spaces
from commonspace.measure.comparison import Comparison, compare, compare_many
from commonspace.measure.corrections import benjamini_hochberg, holm
from commonspace.measure.dimensions import Dimensions, dimensions
from commonspace.measure.drift import Drift, drift
from commonspace.measure.duplicates import DuplicateGroup, Duplicates, duplicates
from commonspace.measure.effects import detectable, effect_size
from commonspace.measure.estimates import Estimate, bootstrap, estimate
from commonspace.measure.evaluation import evaluate, evaluate_retrieval
from commonspace.measure.gap import Gap, contrastive_gap
from commonspace.measure.hit import Hit
from commonspace.measure.hubness import Hub, Hubness, hubness
from commonspace.measure.human import Choices, compare_agreement, odd_one_out, rating_agreement, two_of_three
from commonspace.measure.icnn import icnn_score
from commonspace.measure.imbalance import Imbalance, imbalance
from commonspace.measure.intramodal import Detour, IntraModal, intramodal
from commonspace.measure.isotropy import Isotropy, isotropy
from commonspace.measure.map import MAP
from commonspace.measure.mean_rank_variance import mean_rank_variance
from commonspace.measure.median_rank import MedianRank
from commonspace.measure.metric import RankMetric, metric
from commonspace.measure.moved import Moved, moved
from commonspace.measure.mrr import MRR
from commonspace.measure.mutual_knn import MutualKNN, mutual_knn
from commonspace.measure.ndcg import NDCG
from commonspace.measure.norms import Norms, norms
from commonspace.measure.outliers import Outliers, PairOutliers, outliers, pair_outliers
from commonspace.measure.overlap import RBO, jaccard, overlap, rbo
from commonspace.measure.precision import Precision
from commonspace.measure.procrustes_distance import ProcrustesDistance, procrustes_distance
from commonspace.measure.qrels_power import QrelsPower, qrels_power
from commonspace.measure.r_precision import RPrecision
from commonspace.measure.rank_groups import RankGroups, rank_groups
from commonspace.measure.rank_stability import RankStability, rank_stability
from commonspace.measure.ranks import Ranks
from commonspace.measure.raters import Ceiling, RaterStudy, noise_ceiling, rater_study
from commonspace.measure.rbp import RBP
from commonspace.measure.recall import Recall
from commonspace.measure.relevance import Relevance
from commonspace.measure.rsa import RSA, rsa, rsa_many
from commonspace.measure.run_evaluation import evaluate_run, judged_share
from commonspace.measure.spectrum import Spectrum, spectrum
from commonspace.measure.spurious import Spurious, spurious_context
from commonspace.measure.stacked_similarity import Stacked, stack_similarities
from commonspace.measure.subgroups import Subgroups, pareto_front, subgroup_curve
from commonspace.measure.top_lists import evaluate_hits
from commonspace.measure.trec import read_qrels, read_run, write_qrels, write_run
from commonspace.measure.unit_matches import UnitMatches, match_units

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
    "CrossCheck",
    "Detour",
    "Dimensions",
    "Drift",
    "DuplicateGroup",
    "Duplicates",
    "Estimate",
    "Gap",
    "Hit",
    "Hub",
    "Hubness",
    "Imbalance",
    "IntraModal",
    "Isotropy",
    "MedianRank",
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
    "Relevance",
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
    "rbo",
    "read_qrels",
    "read_run",
    "rsa",
    "rsa_many",
    "spectrum",
    "spurious_context",
    "stack_similarities",
    "subgroup_curve",
    "two_of_three",
    "write_qrels",
    "write_run",
]
