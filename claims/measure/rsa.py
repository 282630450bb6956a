"""Representational similarity with planted truth: models in order, honest p-values, intervals and ceilings.

40 stimuli lie in a latent metric; 20 raters see their similarities through noise of their own; four models see the
stimuli through more and more distortion. For each run: are the models ordered right by their agreement with the mean
rater? Is the p-value of a model that knows nothing uniform? Does the ceiling bracket what the true similarities reach?
Does the interval of a model's agreement cover its value for all stimuli of the kind? The baseline takes the 780 pairs
for independent, as a plain Spearman test does.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from scipy import stats

from commonspace.core.vectors import unit
from commonspace.measure import noise_ceiling, rsa, rsa_many

DISTORTIONS = (0.3, 0.7, 1.2, 2.5)
DIM = 6


def similar(v: np.ndarray) -> np.ndarray:
    u = unit(v)
    return u @ u.T


def population(distortion: float, n: int = 1500) -> float:
    """Agreement of a model with the truth over very many stimuli."""
    rng = np.random.default_rng(987_654)
    z = rng.normal(size=(n, DIM))
    m = z + distortion * rng.normal(size=z.shape)
    at = np.triu_indices(n, 1)
    return float(stats.spearmanr(similar(z)[at], similar(m)[at]).statistic)


def one_run(rng: np.random.Generator, truth: float, stimuli: int, raters: int) -> dict[str, float]:
    at = np.triu_indices(stimuli, 1)
    z = rng.normal(size=(stimuli, DIM))
    models = {str(d): z + d * rng.normal(size=z.shape) for d in DISTORTIONS}
    ratings = similar(z)[at] + rng.uniform(0.3, 1.0, (raters, 1)) * rng.normal(size=(raters, len(at[0])))
    mean = np.zeros((stimuli, stimuli))
    mean[at] = ratings.mean(axis=0)
    options: dict[str, Any] = {"random_state": rng}
    kinds = ("cosine", "precomputed")
    found = rsa_many(models, mean + mean.T, similarity=kinds, permutations=1, resamples=1, **options)
    rho = [found[str(d)].rho.value for d in DISTORTIONS]
    nothing = rng.normal(size=(stimuli, 3))
    null = rsa(nothing, z, permutations=99, resamples=1, **options).p_value
    pairs = similar(nothing)[at], similar(z)[at]
    ceiling = noise_ceiling(ratings, resamples=1)
    reached = np.mean([stats.spearmanr(r, similar(z)[at]).statistic for r in ratings])
    ours = rsa(models[str(DISTORTIONS[1])], z, permutations=1, resamples=300, **options).rho
    naive = np.tanh(np.arctanh(ours.value) + np.array([-1.96, 1.96]) / np.sqrt(len(at[0]) - 3))
    return {
        "ordered": float(rho == sorted(rho, reverse=True)),
        "p": null - rng.random() / 100,  # p comes in steps of 1 / 100
        "p of pairs": float(stats.spearmanr(*pairs, alternative="greater").pvalue),
        "bracketed": float(ceiling.lower.value <= reached <= ceiling.upper.value),
        "covered": float(ours.low <= truth <= ours.high),
        "covered by pairs": float(naive[0] <= truth <= naive[1]),
    }


def run(seeds: int = 5, runs: int = 40, stimuli: int = 40, raters: int = 20) -> dict[str, Any]:
    truth = population(DISTORTIONS[1])
    rows = [
        [one_run(np.random.default_rng([77, s, r]), truth, stimuli, raters) for r in range(runs)] for s in range(seeds)
    ]
    mean = {k: float(np.mean([[r[k] for r in part] for part in rows])) for k in rows[0][0]}
    p = np.array([[r["p"], r["p of pairs"]] for part in rows for r in part])
    ks = [float(stats.kstest(v, "uniform").pvalue) for v in p.T]
    alarms = (p <= 0.05).mean(axis=0)
    ways = ("covered", "covered by pairs")
    outcome = compared(*(np.array([np.mean([r[k] for r in part]) for part in rows]) for k in ways))
    sound = mean["ordered"] >= 0.95 and ks[0] > 0.01 and mean["bracketed"] == 1 and mean["covered"] >= 0.9
    if outcome["verdict"] == "holds" and not sound:
        outcome["verdict"] = "depends"
    return {
        "method": "rsa, rater_study",
        "titles": [
            "Turing Representational Similarity Analysis (RSA): A Flexible Method for Measuring Alignment Between "
            "Human and Artificial Intelligence"
        ],
        "claim": "Representational similarity orders planted models right in 95 % of runs, its p-values are uniform "
        "where nothing is shared, the ceiling brackets the truth, and intervals cover more often than those that take "
        "pairs of stimuli for independent.",
        "data": f"planted: {stimuli} stimuli, {raters} raters, {len(DISTORTIONS)} models, {seeds * runs} runs; figure: "
        "coverage of the nominal 95 % interval; baseline: the interval over independent pairs",
        **outcome,
        "sentence": f"Models are ordered right in {mean['ordered']:.1%} of {seeds * runs} runs and the ceiling "
        f"brackets the truth in {mean['bracketed']:.1%}; where nothing is shared p <= 0.05 in {alarms[0]:.1%} (uniform "
        f"by KS, p={ks[0]:.2f}) against {alarms[1]:.1%} of tests over pairs (KS p={ks[1]:.1e}); intervals cover in "
        f"{mean['covered']:.1%} against {mean['covered by pairs']:.1%}.",
        "details": mean | {"ks p": ks[0], "ks p of pairs": ks[1], "alarms": alarms.tolist()},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
