"""Retrieval metrics with exact ties, intervals, paired tests and CKA, on plain arrays."""

from commonspace.measure.cka import linear_cka
from commonspace.measure.comparison import Comparison, compare, compare_many
from commonspace.measure.corrections import benjamini_hochberg, holm
from commonspace.measure.effects import detectable, effect_size
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
from commonspace.measure.precision import Precision
from commonspace.measure.r_precision import RPrecision
from commonspace.measure.rank_groups import RankGroups, rank_groups
from commonspace.measure.ranks import Ranks
from commonspace.measure.rbp import RBP
from commonspace.measure.recall import Recall
from commonspace.measure.relevance import Relevance
from commonspace.measure.run_evaluation import evaluate_run, judged_share
from commonspace.measure.spurious import Spurious, spurious_context
from commonspace.measure.subgroups import Subgroups, pareto_front, subgroup_curve
from commonspace.measure.top_lists import evaluate_hits
from commonspace.measure.trec import read_qrels, read_run, write_qrels, write_run

__all__ = [
    "MAP",
    "MRR",
    "NDCG",
    "RBP",
    "Comparison",
    "Detour",
    "Estimate",
    "Gap",
    "Hit",
    "IntraModal",
    "MedianRank",
    "Precision",
    "RPrecision",
    "RankGroups",
    "RankMetric",
    "Ranks",
    "Recall",
    "Relevance",
    "Spurious",
    "Subgroups",
    "benjamini_hochberg",
    "bootstrap",
    "compare",
    "compare_many",
    "contrastive_gap",
    "detectable",
    "effect_size",
    "estimate",
    "evaluate",
    "evaluate_hits",
    "evaluate_retrieval",
    "evaluate_run",
    "holm",
    "icnn_score",
    "intramodal",
    "judged_share",
    "linear_cka",
    "mean_rank_variance",
    "metric",
    "pareto_front",
    "rank_groups",
    "read_qrels",
    "read_run",
    "spurious_context",
    "subgroup_curve",
    "write_qrels",
    "write_run",
]
