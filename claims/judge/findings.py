"""Does every finding find what was planted, and keep quiet where nothing was?

For each finding there are worlds in which exactly that is wrong, and worlds of the same kind in which nothing is (see
`_worlds`). The detection rate is the share of the first in which it raises its flag, the false-alarm rate the share of
the second; a world's figure is the share of findings that detect theirs, its baseline the share that raise an alarm.
Beside it stands how often the other findings speak in a planted world: some should, as a gap makes hubs.

Limits come from what a user loses beyond them (see each finding), and the worlds were set up with other seeds.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared
from claims.judge._worlds import NAMES, planted, sound

from commonspace.core.registry import build
from commonspace.judge import Subject


def raised(name: str, subject: Subject, seed: int) -> bool:
    """Return whether a finding raises its flag anywhere."""
    finding = build("Finding", name)
    assert finding.lacks(subject) is None, (name, finding.lacks(subject))
    said = finding.look(subject, np.random.default_rng(seed))
    assert said, name
    return any(f.flag for f in said)


def run(seeds: int = 20) -> dict[str, Any]:
    hits = np.array([[raised(n, planted(n, s), s) for n in NAMES] for s in range(seeds)], float)
    alarms = np.array([[raised(n, sound(n, s), s) for n in NAMES] for s in range(seeds)], float)
    found = dict(zip(NAMES, hits.mean(axis=0).round(3).tolist(), strict=True))
    false = dict(zip(NAMES, alarms.mean(axis=0).round(3).tolist(), strict=True))
    weak = [f"{n} {v:.0%}" for n, v in found.items() if v < 1]
    loud = [f"{n} {v:.0%}" for n, v in false.items() if v > 0]
    return {
        "method": "findings",
        "titles": [],
        "claim": "Every finding of a check-up detects what was planted for it and is quiet where nothing was.",
        "data": f"{seeds} planted and {seeds} sound worlds for each of {len(NAMES)} findings, 200 things with two "
        "images and a text each; figure: share of findings that detect what was planted; baseline: share that raise a "
        "false alarm",
        **compared(hits.mean(axis=1), alarms.mean(axis=1)),
        "sentence": f"What was planted is detected in {hits.mean():.1%} of {hits.size} cases"
        f"{' (less than always: ' + ', '.join(weak) + ')' if weak else ''}, with a false alarm in {alarms.mean():.1%} "
        f"of as many{' (' + ', '.join(loud) + ')' if loud else ''}.",
        "details": {"detected": found, "false alarms": false},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
