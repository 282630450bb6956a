"""Whether an objective chosen by the data loses less than one used for all data.

Eight sets of different kinds (see `_kinds`), one recipe, the same steps for every system. The regret of a system on a
kind is what it lacks of the best system there (best by its mean over the seeds), as a share of that; the figure is the
mean over kinds, lower is better. The baseline is the best single system of all in hindsight, which nobody has who must
choose beforehand; InfoNCE stands beside it. Single systems are six objectives, and the two of them that auto leans on
with every pair reweighted always. Rules, threshold and list of systems were fixed on five of the kinds, splits 100 to
104; three kinds (sentences, noisy sentences, code) had not been trained on at all before. What auto takes is trained by
its name: `fit_heads(objective="auto")` gives the same heads (a test holds that).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.align._kinds import KINDS, UNSEEN, Task, ndcg

from commonspace.align.auto import Choice, Facts, choose
from commonspace.align.data import PairData

SINGLE: dict[str, tuple[str, str | None]] = {
    "infonce": ("infonce", None),
    "hcl": ("hcl", None),
    "tal": ("tal", None),
    "sdm": ("sdm", None),
    "decoupled-softmax": ("decoupled-softmax", None),
    "one-to-k": ("one-to-k", None),
    "infonce, reweighted": ("infonce", "reweight"),
    "tal, reweighted": ("tal", "reweight"),
}


def chosen(task: Task, seed: int) -> Choice:
    """Return what ``fit_heads(objective="auto")`` takes."""
    data = PairData.check(task.train, None, task.groups)
    facts = Facts.of(data, 256, graded=task.relevance is not None, rng=np.random.default_rng(seed))
    return choose(facts)


def scores(kind: str, seed: int, epochs: int) -> tuple[dict[str, float], str]:
    """Return nDCG@10 of every system and of auto on one split of one kind, and what auto took."""
    task, done = KINDS[kind](seed), {}

    def of(objective: str, remedy: str | None) -> float:
        # With two modalities both are the same loss.
        name = "infonce" if objective == "one-to-k" and len(task.train) == 2 else objective
        if (name, remedy) not in done:
            done[name, remedy] = ndcg(task, name, seed, epochs, noisy_pairs=remedy)[0]
        return done[name, remedy]

    found = {name: of(*system) for name, system in SINGLE.items()}
    choice = chosen(task, seed)
    took = choice.objective + (", reweighted" if choice.noisy_pairs else "")
    return {**found, "auto": of(choice.objective, choice.noisy_pairs)}, took


def regrets(table: dict[str, np.ndarray], kinds: list[int]) -> dict[str, np.ndarray]:
    """Return system -> (seeds,) mean regret over some kinds, in per cent, from (kinds, seeds) figures."""
    best = np.max([t.mean(axis=1) for t in table.values()], axis=0)[:, None]
    return {name: 100 * ((best - t) / best)[kinds].mean(axis=0) for name, t in table.items()}


def run(seeds: int = 5, epochs: int = 20, first: int = 0, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, Any]:
    table = {name: np.zeros((len(kinds), seeds)) for name in (*SINGLE, "auto")}
    took: dict[str, list[str]] = {}
    for i, kind in enumerate(kinds):
        for seed in range(seeds):
            found, choice = scores(kind, first + seed, epochs)
            took.setdefault(kind, []).append(choice)
            for name, value in found.items():
                table[name][i, seed] = value
    everywhere = regrets(table, list(range(len(kinds))))
    rival = min(SINGLE, key=lambda name: float(everywhere[name].mean()))
    outcome = compared(-everywhere["auto"], -everywhere[rival])
    turned = {"figure": -outcome["figure"], "baseline": -outcome["baseline"], "difference": -outcome["difference"]}
    turned |= {"low": -outcome["high"], "high": -outcome["low"]}
    plain = compared(-everywhere["auto"], -everywhere["infonce"])
    unseen = regrets(table, [i for i, kind in enumerate(kinds) if kind in UNSEEN])
    fresh = compared(-unseen["auto"], -unseen["infonce"])
    means = {k: {n: round(float(t[i].mean()), 4) for n, t in table.items()} for i, k in enumerate(kinds)}
    shown = ", ".join(f"{n} {float(r.mean()):.1f}" for n, r in sorted(everywhere.items(), key=lambda x: x[1].mean()))
    apart = ", ".join(f"{n} {float(unseen[n].mean()):.1f}" for n in ("auto", rival, "infonce"))
    takes = "; ".join(f"{k}: {' / '.join(sorted(set(v)))}" for k, v in took.items())
    return {
        "method": "auto",
        "titles": [],
        "claim": "An objective chosen by the data loses less to the best of each kind of data than any one objective "
        "used for all.",
        "data": f"{len(kinds)} sets of different kinds, nDCG@10 on unseen things; figure: mean regret in per cent of "
        f"the best system of each kind, lower is better; baseline: the best single system in hindsight ({rival})",
        **outcome,
        **turned,
        "sentence": f"Mean regret in per cent: {shown}. Over InfoNCE everywhere auto saves {plain['difference']:.1f} "
        f"[{plain['low']:.1f}, {plain['high']:.1f}] points; on the kinds that had no part in the rules: {apart} "
        f"(saves {fresh['difference']:.1f} [{fresh['low']:.1f}, {fresh['high']:.1f}]). Taken: {takes}.",
        "details": {"means": means, "taken": took},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
