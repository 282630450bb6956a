from tests.measure import oracle

from commonspace.measure import RPrecision, metric


def r_precision(grades):
    relevant = sum(g > 0 for g in grades)
    return sum(g > 0 for g in grades[:relevant]) / relevant


def test_ties_give_the_mean_over_all_orders():
    oracle.assert_exact_under_ties(RPrecision(), r_precision)


def test_it_equals_trec_eval_without_ties():
    oracle.assert_equals_ir_measures(metric("r_precision"), "Rprec")
