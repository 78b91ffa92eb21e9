"""The constants of the one rule between relevance and mask."""

from pydantic import Field

from relmask.record import Record


class MaskSettings(Record):
    """What `relmask.masks.support` does with relevance. A run keeps its own, so its masks stay what they are.

    Every value was chosen on several sets at once, see `docs/experiments/masks.md`, "One rule".
    """

    smoothing: float = Field(
        default=1.0,
        ge=0,
        description="Sigma in pixels of a Gaussian over relevance and over support: against speckles.",
    )
    colours: tuple[float, ...] = Field(
        default=(0.7, 2.8), description="Sigmas in pixels at which the colour of a pixel is looked at."
    )
    grains: tuple[float, ...] = Field(
        default=(1.4, 2.8), description="Sigmas in pixels at which its texture is looked at."
    )
    own: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of a pixel's own relevance in its support; the rest is that of pixels alike.",
    )
    power: float = Field(
        default=0.75,
        gt=0,
        description="Power of support before its threshold is taken: below 1, faint parts count more.",
    )
    fits: int = Field(
        default=2, gt=0, description="Fits to looks: of relevance, then of what the fit before supports."
    )
    noise: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the highest support; Otsu's threshold below it has split the background.",
    )
    ridge: float = Field(
        default=0.01,
        gt=0,
        description="Weight that keeps the fit of relevance to looks small.",
    )


WINDOWS = MaskSettings(own=1.0, power=0.5)
"""For pictures seen through windows at native resolution: relevance is as sharp as the picture itself, and
looks add nothing (CrackForest, F1 exact and within 2 px: 0.664 and 0.905, with looks 0.640 and 0.866)."""
