"""`bimixco`: a source's inputs are mixed at first, then the encoder of its target says what is alike.

    the first third of training:   mixtures of two inputs ask for the partners of both, and these ask for the mixtures
    the rest:                      contrast against softmax(t t' / tau), t = encoder outputs of the target (SoftCLIP)

See `mixtures` for the formulas. Mixtures are training data that nobody had to collect, for sources of which there are
few and noisy examples; the target's encoder is frozen and knows more than the pairs say.

Source: "Reconstructing the Mind's Eye: fMRI-to-Image with Contrastive Learning and Diffusion Priors", with the share of
rows mixed (half) and the Beta parameter of its code. The temperature is learned in both phases; the source fixes it in
the first and lowers it to a schedule. Encoder outputs are centred in the batch first, and their temperature is ours.
Its prior, which moves predicted vectors to where true ones lie, is not built here.
"""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from commonspace.align.objectives.contrastive import frozen_units
from commonspace.align.objectives.mixtures import MixThenSoft, MixtureOptions
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.views import Views


@register(
    "bimixco",
    protocol="Objective",
    synonyms=("mindeye",),
    papers=[
        Paper(
            "Reconstructing the Mind's Eye: fMRI-to-Image with Contrastive Learning and Diffusion Priors",
            2023,
            "https://arxiv.org/abs/2305.18274",
        )
    ],
)
class BiMixCo(MixThenSoft):
    """Contrast of mixed inputs in both directions, then soft targets of the frozen encoder.

    Parameters
    ----------
    source : str, optional
        The modality whose inputs are mixed; the others are targets. By default each in its turn, and where one asks,
        the other is the target.
    soft_temperature : float
        How fast the soft targets fall with the encoder's cosine.
    centred : bool
        Whether the batch's mean is taken from the encoder outputs first; without it, encoders whose outputs are all
        positive hold everything for alike.
    """

    def __init__(
        self,
        *,
        source: str | None = None,
        soft_temperature: float = 0.1,
        centred: bool = True,
        **options: Unpack[MixtureOptions],
    ) -> None:
        super().__init__(source=source, soft_temperature=soft_temperature, **options)
        self.centred = centred

    def similar(self, views: Views, m: str) -> Tensor:
        """Return (batch, d) unit rows of the encoder of modality m."""
        return frozen_units(views, m, centred=self.centred)
