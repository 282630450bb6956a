"""What the tests of findings share."""

from collections.abc import Callable

import numpy as np
import pytest

from commonspace.core.registry import build
from commonspace.judge import Found, Subject


@pytest.fixture
def look() -> Callable[..., dict[str, Found]]:
    """A function from a finding's name, a subject and arguments to what it says, by what it speaks of."""

    def looked(name: str, subject: Subject, seed: int = 0, **arguments: object) -> dict[str, Found]:
        finding = build("Finding", {"name": name, **arguments})
        assert finding.lacks(subject) is None
        found = finding.look(subject, np.random.default_rng(seed))
        for f in found:
            assert f.finding == name
            assert 0 <= f.score <= 1
            assert f.summary
            assert f.evidence or f.score == 0
        return {f.about: f for f in found}

    return looked
