"""A small space of two modalities, for the tests of remedies."""

from collections.abc import Callable

import numpy as np
import pytest

from commonspace.core.vectors import unit
from commonspace.judge import Subject


@pytest.fixture
def pairs() -> Callable[..., Subject]:
    """A function from a common mean, a gap and a number of things to paired vectors of length one."""

    def made(common: float = 0.0, gap: float = 0.0, n: int = 200, noise: float = 0.5, seed: int = 0) -> Subject:
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(n, 16))
        sides = {}
        for m, sign in (("image", 1), ("text", -1)):
            x = z + noise * rng.normal(size=z.shape) + common * np.eye(16)[0] + sign * gap * np.eye(16)[1]
            sides[m] = unit(x.astype(np.float32))
        return Subject(sides, things={m: np.arange(n) for m in sides})

    return made
