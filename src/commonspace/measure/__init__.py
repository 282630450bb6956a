"""Retrieval metrics with exact ties, intervals, paired tests and CKA, on plain arrays."""

from commonspace.measure.calibration import Calibration, calibration
from commonspace.measure.cka import linear_cka
from commonspace.measure.comparison import Comparison, compare, compare_many, holm
from commonspace.measure.estimates import Estimate, bootstrap, estimate
from commonspace.measure.evaluation import evaluate, evaluate_retrieval
from commonspace.measure.gap import Gap, contrastive_gap
from commonspace.measure.hit import Hit
from commonspace.measure.icnn import icnn_score
from commonspace.measure.intramodal import Detour, IntraModal, intramodal
from commonspace.measure.map import MAP
from commonspace.measure.mean_rank_variance import mean_rank_variance
from commonspace.measure.median_rank import MedianRank
from commonspace.measure.metric import RankMetric, metric
from commonspace.measure.mrr import MRR
from commonspace.measure.ndcg import NDCG
from commonspace.measure.ranks import Ranks
from commonspace.measure.recall import Recall
from commonspace.measure.relevance import Relevance
from commonspace.measure.spurious import Spurious, spurious_context
from commonspace.measure.subgroups import Subgroups, pareto_front, subgroup_curve

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "Calibration",
    "Comparison",
    "Detour",
    "Estimate",
    "Gap",
    "Hit",
    "IntraModal",
    "MedianRank",
    "RankMetric",
    "Ranks",
    "Recall",
    "Relevance",
    "Spurious",
    "Subgroups",
    "bootstrap",
    "calibration",
    "compare",
    "compare_many",
    "contrastive_gap",
    "estimate",
    "evaluate",
    "evaluate_retrieval",
    "holm",
    "icnn_score",
    "intramodal",
    "linear_cka",
    "mean_rank_variance",
    "metric",
    "pareto_front",
    "spurious_context",
    "subgroup_curve",
]
