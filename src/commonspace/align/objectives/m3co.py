"""`m3co`: inputs of every modality are mixed in their turn at first, then each modality says what is alike in it.

    the first third of training:   mixtures of two inputs ask for the partners of both, and these ask for the mixtures
    the rest:                      contrast against softmax(y y' / tau), y = rows of the candidates' modality

See `mixtures` for the formulas. Items that share parts of their content (a tool, a colour) with others have more
relations than the pairs say; a mixture has two partners and teaches that a place between them is something, too.

Source: "Harnessing Shared Relations via Multimodal Mixup Contrastive Learning for Multimodal Classification", with the
share of rows mixed, Beta parameter and share of training of its code. There the temperature is fixed at 0.1 and then
at tau = 0.125, here it is learned, and light heads do better with less of a tau; similarities carry no gradient. Its
classifiers and their fusion are not built.
"""

from __future__ import annotations

from torch import Tensor

from commonspace.align.mixing import Mixing
from commonspace.align.objectives.mixtures import MixThenSoft
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "m3co",
    protocol="Objective",
    synonyms=("m3col", "mixup-contrastive"),
    claim="align/mixing",
    papers=[
        Paper(
            "Harnessing Shared Relations via Multimodal Mixup Contrastive Learning for Multimodal Classification",
            2024,
            "https://arxiv.org/abs/2409.17777",
        )
    ],
)
class M3Co(MixThenSoft):
    """Contrast of mixed inputs, then soft targets of the space's own similarities.

    Parameters
    ----------
    until : float
        Share of training with mixtures, 0 to 1; 1 never gets soft.
    beta : float
        Parameter of the Beta distribution of the shares.
    chance : float
        Share of the rows that are mixed at all.
    soft_temperature : float
        How fast the soft targets fall with the cosine.
    temperature : float
        Where the temperature starts.
    learn_temperature : bool
        Whether it is trained.
    max_scale, min_scale : float
        Bounds of 1 / temperature.
    """

    def __init__(
        self,
        *,
        until: float = 1 / 3,
        beta: float = 0.15,
        chance: float = 0.5,
        soft_temperature: float = 0.05,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        max_scale: float = 100.0,
        min_scale: float = 1.0,
    ) -> None:
        super().__init__(
            Mixing(beta, chance), until, soft_temperature, temperature, learn_temperature,
            max_scale=max_scale, min_scale=min_scale,
        )  # fmt: skip
        self.beta = beta
        self.chance = chance

    def similar(self, views: Views, m: str) -> Tensor:
        """Return (batch, dim) rows of modality m in the space."""
        rows: Tensor = views.z[m].detach()
        return rows
