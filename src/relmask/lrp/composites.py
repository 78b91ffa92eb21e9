"""Which rule for which layer: a composite is a list read from the top, the first match wins."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from relmask.errors import UsageError
from relmask.lrp.rules import (
    AlphaBeta,
    Epsilon,
    FixedDeviation,
    Flat,
    Gamma,
    Identity,
    Magnitude,
    Norming,
    Ratio,
    Rule,
    Sharing,
    ZBox,
    ZPlus,
)

SHIFT = "shift"
"""Kind of sums of an activation and a constant."""
KINDS: Mapping[str, tuple[type, ...]] = {
    "convolution": (Rule,),
    "linear": (Rule,),
    "norm": (Norming,),
    "add": (Sharing,),
    SHIFT: (Sharing, Identity),
    "average": (Sharing,),
}
"""Kinds of places, and what rules fit them."""
AnyRule = Rule | Sharing | Norming
DEFAULTS: Mapping[str, AnyRule] = {
    "norm": FixedDeviation(),
    "add": Ratio(),
    SHIFT: Identity(),
    "average": Ratio(),
}
"""Rules of places that no line of a composite fits."""


@dataclass(frozen=True)
class Place:
    """A node of a model's graph that wants a rule.

    Args:
        path: of the module it lies in, as in `named_modules()`; "" is the model itself.
        operator: its ATen operator.
        kind: a key of `KINDS`.
        first: no other layer lies between it and the image.
    """

    path: str
    operator: str
    kind: str
    first: bool


@dataclass(frozen=True)
class Where:
    """Matches a place that fits all that is given. `a & b` fits both."""

    kind: str | None = None
    module: str | None = None
    first: bool | None = None

    def __post_init__(self) -> None:
        if self.kind not in (None, *KINDS):
            raise UsageError(f"There is no kind {self.kind!r} of layer. Choose one of: {', '.join(KINDS)}.")

    def __call__(self, place: Place) -> bool:
        """Does the place fit?"""
        inside = self.module is None or f"{place.path}.".startswith(f"{self.module}.")
        return inside and self.kind in (None, place.kind) and self.first in (None, place.first)

    def __and__(self, other: "Where") -> "Where":
        """Fits where both fit."""
        given = {name: value for name, value in vars(other).items() if value is not None}
        return replace(self, **given)

    def __str__(self) -> str:
        """As in a composite's table."""
        words = (
            "first" if self.first else "",
            self.kind or "layer",
            f"in {self.module}" if self.module else "",
        )
        return " ".join(word for word in words if word)


def kind(name: str) -> Where:
    """Places of a kind.

    "convolution", "linear"; "norm" (layer, group, instance); "add" (two activations), "shift" (an activation
    and a constant, like positions), "average" (pooling, resizing).
    """
    return Where(kind=name)


def module(path: str) -> Where:
    """Layers in the module with this path, or in one below it."""
    return Where(module=path)


first_layer = Where(first=True)
"""Convolutions and linear layers that the image meets first."""


@dataclass(frozen=True)
class Composite:
    """Rules for the places of a model.

    Example:
        >>> print(Composite("mine", ((first_layer, Flat()), (kind("convolution"), ZPlus()))))
        mine
          first layer  Flat()
          convolution  ZPlus(bias=True)
    """

    name: str
    rules: tuple[tuple[Where, AnyRule], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        for where, rule in self.rules:
            if not (isinstance(where, Where) and isinstance(rule, AnyRule)):
                raise UsageError(
                    f"{self.name}: a line of a composite is (where, rule), like (kind('linear'), Epsilon()); "
                    f"got ({where!r}, {rule!r})."
                )
            if where.kind and not isinstance(rule, KINDS[where.kind]):
                raise UsageError(
                    f"{rule} does not fit {where}: sums and averages share, norms hold their deviation, "
                    "layers have rules."
                )

    def rule(self, place: Place) -> AnyRule | None:
        """The rule of the first line that fits, else that of `DEFAULTS`; None for a layer that none fits."""
        suiting = KINDS[place.kind]
        fitting = (rule for where, rule in self.rules if where(place) and isinstance(rule, suiting))
        return next(fitting, DEFAULTS.get(place.kind))

    def __add__(self, other: "Composite") -> "Composite":
        """This composite's lines, then the other's."""
        return Composite(f"{self.name}+{other.name}", self.rules + other.rules)

    def __str__(self) -> str:
        """One line per rule."""
        return "\n".join((self.name, *self._lines()))

    def _lines(self) -> Iterator[str]:
        width = max((len(str(where)) for where, _ in self.rules), default=0)
        for where, rule in self.rules:
            yield f"  {where!s:{width}}  {rule}"


def relmask() -> Composite:
    """Relmask's own: gamma 1 for convolutions, and where summands may cancel they share by size.

    On magnetic tiles gamma 1 found more of pits, cracks and large defects than gamma 0.25 (mean IoU with the
    best thresholds 0.28 and 0.24), on the demo's surfaces as much; z+, its limit, blurs thin defects.
    """
    return Composite(
        "relmask",
        (
            (kind("convolution"), Gamma(1.0)),
            (kind("linear"), Epsilon()),
            (kind("add"), Magnitude()),
            (kind("average"), Magnitude()),
        ),
    )


def relmask_fine() -> Composite:
    """`relmask` with gamma 0.1: sharper and noisier, for relevance that is smoothed or averaged."""
    return Composite("relmask_fine", ((kind("convolution"), Gamma(0.1)), *relmask().rules))


def attnlrp() -> Composite:
    """Epsilon everywhere, and constants in sums take their share: AttnLRP (Achtibat et al. 2024) as in LXT.

    For transformers, with softmax, products and activations as in the paper and norms as `FixedDeviation` has
    them. Each pixel's relevance is its value times a gradient in which those are held fixed.
    """
    rules = ((kind("convolution"), Epsilon()), (kind("linear"), Epsilon()), (kind(SHIFT), Ratio()))
    return Composite("attnlrp", rules)


def epsilon_plus() -> Composite:
    """z+ for convolutions, epsilon for linear layers."""
    return Composite("epsilon_plus", ((kind("convolution"), ZPlus()), (kind("linear"), Epsilon())))


def epsilon_plus_flat() -> Composite:
    """`epsilon_plus`, flat in the first layer."""
    return Composite("epsilon_plus_flat", ((first_layer, Flat()), *epsilon_plus().rules))


def epsilon_alpha2_beta1() -> Composite:
    """alpha2-beta1 for convolutions, epsilon for linear layers."""
    rules = ((kind("convolution"), AlphaBeta(2, 1)), (kind("linear"), Epsilon()))
    return Composite("epsilon_alpha2_beta1", rules)


def epsilon_alpha2_beta1_flat() -> Composite:
    """`epsilon_alpha2_beta1`, flat in the first layer."""
    return Composite("epsilon_alpha2_beta1_flat", ((first_layer, Flat()), *epsilon_alpha2_beta1().rules))


def epsilon_gamma_box(low: float | tuple[float, ...], high: float | tuple[float, ...]) -> Composite:
    """Gamma 0.25 for convolutions, epsilon for linear layers, z-box in a first convolution.

    Args:
        low: the smallest value that the first layer can meet, one number or one per channel.
        high: the largest.
    """
    return Composite(
        "epsilon_gamma_box",
        (
            (first_layer & kind("convolution"), ZBox(low, high)),
            (kind("convolution"), Gamma(0.25)),
            (kind("linear"), Epsilon()),
        ),
    )


PRESETS: dict[str, Callable[[], Composite]] = {
    preset.__name__: preset
    for preset in (
        relmask,
        relmask_fine,
        attnlrp,
        epsilon_plus,
        epsilon_plus_flat,
        epsilon_alpha2_beta1,
        epsilon_alpha2_beta1_flat,
    )
}


def as_composite(composite: str | Composite) -> Composite:
    """A composite, given itself or the name of a preset.

    Raises:
        UsageError: neither, or no such preset.
    """
    if isinstance(composite, str):
        return named(composite)
    if not isinstance(composite, Composite):
        raise UsageError(
            f"A composite is a relmask.lrp.Composite or one of the names {', '.join(sorted(PRESETS))}; "
            f"got {composite!r}."
        )
    return composite


def named(name: str) -> Composite:
    """The preset of that name.

    Raises:
        UsageError: no such preset, or one that needs the range of the images.
    """
    if name == epsilon_gamma_box.__name__:
        raise UsageError(
            "epsilon_gamma_box needs the range of the images: "
            "pass relmask.lrp.composites.epsilon_gamma_box(low, high)."
        )
    if name not in PRESETS:
        raise UsageError(f"No composite named {name!r}. Choose one of: {', '.join(sorted(PRESETS))}.")
    return PRESETS[name]()
