"""Retrieval metrics with exact ties, intervals and paired tests; spaces beside each other and beside people.

All of it works on plain arrays.
"""
"""Retrieval metrics with exact ties, intervals and paired tests, and label-free health, on plain arrays."""

from commonspace.measure.adjudication import Adjudicator, judge_next
from commonspace.measure.adjudication_curves import AdjudicationCurves, AdjudicationPoint, adjudication_curves
from commonspace.measure.agreement import CrossCheck, SystemCheck, cross_check
from commonspace.measure.calibration import Calibration, calibration
from commonspace.measure.cka import estimate_cka, linear_cka
from commonspace.measure.cka import linear_cka
from commonspace.measure.collapse import CollapseAlarm, Collapsed
from commonspace.measure.compare_spaces import SpaceComparison, compare_spaces
from commonspace.measure.comparison import Comparison, compare, compare_many, holm
from commonspace.measure.dimensions import Dimensions, dimensions
from commonspace.measure.drift import Drift, drift
from commonspace.measure.duplicates import DuplicateGroup, Duplicates, duplicates
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
from commonspace.measure.procrustes_distance import ProcrustesDistance, procrustes_distance
from commonspace.measure.qrels_power import QrelsPower, qrels_power
from commonspace.measure.rank_stability import RankStability, rank_stability
from commonspace.measure.ranks import Ranks
from commonspace.measure.raters import Ceiling, RaterStudy, noise_ceiling, rater_study
from commonspace.measure.recall import Recall
from commonspace.measure.relevance import Relevance
from commonspace.measure.rsa import RSA, rsa, rsa_many
from commonspace.measure.spectrum import Spectrum, spectrum
from commonspace.measure.spurious import Spurious, spurious_context
from commonspace.measure.stacked_similarity import Stacked, stack_similarities
from commonspace.measure.subgroups import Subgroups, pareto_front, subgroup_curve
from commonspace.measure.unit_matches import UnitMatches, match_units

__all__ = ["adjudication_curves", "AdjudicationCurves", "AdjudicationPoint", "Adjudicator", "bootstrap", "Calibration", "calibration", "Ceiling", "Choices", "CollapseAlarm", "Collapsed", "compare", "compare_agreement", "compare_many", "compare_spaces", "Comparison", "contrastive_gap", "cross_check", "CrossCheck", "Detour", "Dimensions", "dimensions", "Drift", "drift", "DuplicateGroup", "Duplicates", "duplicates", "Estimate", "estimate", "estimate_cka", "evaluate", "evaluate_retrieval", "Gap", "Hit", "holm", "Hub", "Hubness", "hubness", "icnn_score", "Imbalance", "imbalance", "IntraModal", "intramodal", "Isotropy", "isotropy", "jaccard", "judge_next", "linear_cka", "MAP", "match_units", "mean_rank_variance", "MedianRank", "metric", "Moved", "moved", "MRR", "mutual_knn", "MutualKNN", "NDCG", "noise_ceiling", "Norms", "norms", "odd_one_out", "Outliers", "outliers", "overlap", "pair_outliers", "PairOutliers", "pareto_front", "procrustes_distance", "ProcrustesDistance", "qrels_power", "QrelsPower", "rank_stability", "RankMetric", "Ranks", "RankStability", "rater_study", "RaterStudy", "rating_agreement", "RBO", "rbo", "Recall", "Relevance", "RSA", "rsa", "rsa_many", "SpaceComparison", "Spectrum", "spectrum", "Spurious", "spurious_context", "stack_similarities", "Stacked", "subgroup_curve", "Subgroups", "SystemCheck", "two_of_three", "UnitMatches"]
