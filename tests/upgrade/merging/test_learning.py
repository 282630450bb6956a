import numpy as np
import pytest
import torch
from tests.upgrade.merging.nets import head

from commonspace.upgrade.merging.learning import TAIL, learn
from commonspace.upgrade.merging.models import model_of
from commonspace.upgrade.merging.vectors import TaskVectors


class Bowl:
    """A landscape whose loss is (c - target)^2 / 2 in every coefficient, seen with noise."""

    def __init__(self, target, noise):
        base = head()
        self.vectors = TaskVectors(model_of(base), {"a": model_of(head(1, base=base))})
        self.target, self.noise, self.probes = target, noise, self
        self.rng = np.random.default_rng(0)
        self.seen = []

    def draw(self):
        return {}

    def slope(self, c, batches, partition=None):
        self.seen.append(float(c[0, 0, 0]))
        return {"a": float(c[0, 0, 0])}, (c - self.target + self.noise * self.rng.normal()) / c.numel()


def learned(noise, steps=200, **options):
    bowl = Bowl(0.7, noise)
    found = learn(bowl, [torch.zeros(())], lambda s: bowl.vectors.everywhere(s[None]), steps=steps, lr=0.05, **options)
    return bowl, found


def test_the_bottom_is_found_and_every_step_is_told():
    bowl, found = learned(0.0)
    assert float(found.values[0]) == pytest.approx(0.7, abs=1e-3)
    assert found.losses == tuple(bowl.seen)
    assert len(found.losses) == 200


def test_the_result_is_the_mean_of_the_last_quarter():
    bowl, found = learned(1.0)
    last = bowl.seen[-round(TAIL * 200) + 1 :]  # the last step is taken after the last look
    assert float(found.values[0]) == pytest.approx(np.mean(last), abs=0.01)


def test_where_learning_starts_is_left_as_it_was():
    start = torch.zeros(())
    bowl = Bowl(0.7, 0.0)
    learn(bowl, [start], lambda s: bowl.vectors.everywhere(s[None]), steps=3, lr=0.1)
    assert start == 0


def test_one_step_is_a_result_too():
    _, found = learned(0.0, steps=1)
    assert float(found.values[0]) == pytest.approx(0.05, rel=1e-3)  # AdamW's first step is its rate
