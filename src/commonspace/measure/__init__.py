"""Retrieval metrics with exact ties, intervals and paired tests, and label-free health, on plain arrays."""

from commonspace.measure.adjudication import Adjudicator, judge_next
from commonspace.measure.adjudication_curves import AdjudicationCurves, AdjudicationPoint, adjudication_curves
from commonspace.measure.agreement import CrossCheck, SystemCheck, cross_check
from commonspace.measure.calibration import Calibration, calibration
from commonspace.measure.cka import linear_cka
from commonspace.measure.collapse import CollapseAlarm, Collapsed
from commonspace.measure.comparison import Comparison, compare, compare_many, holm
from commonspace.measure.dimensions import Dimensions, dimensions
from commonspace.measure.drift import Drift, drift
from commonspace.measure.duplicates import DuplicateGroup, Duplicates, duplicates
from commonspace.measure.estimates import Estimate, bootstrap, estimate
from commonspace.measure.evaluation import evaluate, evaluate_retrieval
from commonspace.measure.gap import Gap, contrastive_gap
from commonspace.measure.hit import Hit
from commonspace.measure.hubness import Hub, Hubness, hubness
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
from commonspace.measure.ndcg import NDCG
from commonspace.measure.norms import Norms, norms
from commonspace.measure.outliers import Outliers, PairOutliers, outliers, pair_outliers
from commonspace.measure.overlap import RBO, jaccard, overlap, rbo
from commonspace.measure.qrels_power import QrelsPower, qrels_power
from commonspace.measure.ranks import Ranks
from commonspace.measure.recall import Recall
from commonspace.measure.relevance import Relevance
from commonspace.measure.spectrum import Spectrum, spectrum
from commonspace.measure.spurious import Spurious, spurious_context
from commonspace.measure.subgroups import Subgroups, pareto_front, subgroup_curve

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "RBO",
    "AdjudicationCurves",
    "AdjudicationPoint",
    "Adjudicator",
    "Calibration",
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
    "Norms",
    "Outliers",
    "PairOutliers",
    "QrelsPower",
    "RankMetric",
    "Ranks",
    "Recall",
    "Relevance",
    "Spectrum",
    "Spurious",
    "Subgroups",
    "SystemCheck",
    "adjudication_curves",
    "bootstrap",
    "calibration",
    "compare",
    "compare_many",
    "contrastive_gap",
    "cross_check",
    "dimensions",
    "drift",
    "duplicates",
    "estimate",
    "evaluate",
    "evaluate_retrieval",
    "holm",
    "hubness",
    "icnn_score",
    "imbalance",
    "intramodal",
    "isotropy",
    "jaccard",
    "judge_next",
    "linear_cka",
    "mean_rank_variance",
    "metric",
    "moved",
    "norms",
    "outliers",
    "overlap",
    "pair_outliers",
    "pareto_front",
    "qrels_power",
    "rbo",
    "spectrum",
    "spurious_context",
    "subgroup_curve",
]
