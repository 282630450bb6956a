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

from typing import Unpack

from torch import Tensor

from commonspace.align.objectives.mixtures import MixThenSoft, MixtureOptions
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
    soft_temperature : float
        How fast the soft targets fall with the cosine.
    """

    def __init__(self, *, soft_temperature: float = 0.05, **options: Unpack[MixtureOptions]) -> None:
        super().__init__(source=None, soft_temperature=soft_temperature, **options)

    def similar(self, views: Views, m: str) -> Tensor:
        """Return (batch, dim) rows of modality m in the space."""
        rows: Tensor = views.z[m].detach()
        return rows
