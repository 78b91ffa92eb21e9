import pytest

from relmask.errors import UsageError
from relmask.lrp import (
    AlphaBeta,
    Composite,
    Epsilon,
    FixedDeviation,
    Flat,
    Gamma,
    Identity,
    Magnitude,
    Ratio,
    Rule,
    Sharing,
    ZBox,
    ZPlus,
    first_layer,
    kind,
    module,
)
from relmask.lrp.composites import PRESETS, Place, epsilon_gamma_box, named

STEM = Place("features.0", "aten.conv2d.default", "convolution", True)
CONVOLUTION = Place("features.10", "aten.conv2d.default", "convolution", False)
LINEAR = Place("head", "aten.linear.default", "linear", False)
ADD = Place("features.10", "aten.add.Tensor", "add", False)
SHIFT = Place("features.10", "aten.add.Tensor", "shift", False)
NORM = Place("features.11", "aten.layer_norm.default", "norm", False)
AVERAGE = Place("", "aten.avg_pool2d.default", "average", False)
PLACES = (STEM, CONVOLUTION, LINEAR, ADD, AVERAGE)


@pytest.mark.parametrize(
    ("composite", "rules"),
    [
        ("epsilon_plus", (ZPlus(), ZPlus(), Epsilon(), Ratio(), Ratio())),
        ("epsilon_plus_flat", (Flat(), ZPlus(), Epsilon(), Ratio(), Ratio())),
        ("epsilon_alpha2_beta1", (AlphaBeta(2, 1), AlphaBeta(2, 1), Epsilon(), Ratio(), Ratio())),
        ("epsilon_alpha2_beta1_flat", (Flat(), AlphaBeta(2, 1), Epsilon(), Ratio(), Ratio())),
    ],
)
def test_presets_give_these_rules(composite: str, rules: tuple[Rule | Sharing, ...]) -> None:
    assert tuple(named(composite).rule(place) for place in PLACES) == rules
    assert named(composite).name == composite


def test_relmasks_own_shares_by_size_where_summands_may_cancel() -> None:
    composite = named("relmask")
    assert composite.rule(ADD) == composite.rule(AVERAGE) == Magnitude()
    assert all(isinstance(composite.rule(place), Rule) for place in (STEM, CONVOLUTION, LINEAR))


def test_the_fine_one_differs_in_gamma_alone() -> None:
    coarse, fine = named("relmask"), named("relmask_fine")
    assert fine.rule(CONVOLUTION) == Gamma(0.1)
    assert all(fine.rule(place) == coarse.rule(place) for place in (LINEAR, ADD, AVERAGE))


def test_the_box_preset_takes_the_range_of_the_images() -> None:
    composite = epsilon_gamma_box(-2.0, 2.5)
    rules = (ZBox(-2.0, 2.5), Gamma(0.25), Epsilon(), Ratio(), Ratio())
    assert tuple(composite.rule(place) for place in PLACES) == rules


def test_attnlrp_lets_constants_share_and_others_do_not() -> None:
    assert tuple(named("attnlrp").rule(place) for place in (STEM, LINEAR, ADD, SHIFT)) == (
        *(Epsilon(), Epsilon()),
        *(Ratio(), Ratio()),
    )
    assert {named(name).rule(SHIFT) for name in PRESETS if name != "attnlrp"} == {Identity()}
    assert {named(name).rule(NORM) for name in PRESETS} == {FixedDeviation()}


def test_the_first_line_that_fits_wins() -> None:
    composite = Composite("mine", ((module("features.1"), Flat()), (kind("convolution"), ZPlus())))
    assert composite.rule(STEM) == ZPlus()
    assert composite.rule(CONVOLUTION) == ZPlus(), "features.10 is not below features.1"
    assert composite.rule(Place("features.1.conv", "", "convolution", False)) == Flat()
    assert composite.rule(Place("features.1", "", "linear", False)) == Flat()
    assert composite.rule(LINEAR) is None


def test_lines_are_put_before_those_of_a_preset() -> None:
    early = Composite("early", ((module("features.0"), AlphaBeta(2, 1)),))
    composite = early + named("epsilon_plus")
    assert composite.rule(STEM) == AlphaBeta(2, 1)
    assert composite.rule(CONVOLUTION) == ZPlus()
    assert composite.name == "early+epsilon_plus"


def test_conditions_join() -> None:
    composite = Composite("mine", ((first_layer & kind("linear"), Flat()), (kind("convolution"), ZPlus())))
    assert composite.rule(STEM) == ZPlus()
    assert composite.rule(Place("head", "", "linear", True)) == Flat()
    assert str(first_layer & kind("linear") & module("head")) == "first linear in head"


def test_a_rule_for_layers_passes_over_sums_in_the_same_module() -> None:
    composite = Composite("mine", ((module("features"), ZPlus()), (module("features"), Magnitude())))
    assert composite.rule(CONVOLUTION) == ZPlus()
    assert composite.rule(ADD) == Magnitude()
    assert composite.rule(AVERAGE) == Ratio()


@pytest.mark.parametrize(
    ("where", "rule"), [(kind("convolution"), Magnitude()), (kind("add"), ZPlus()), (kind("average"), Flat())]
)
def test_rules_that_cannot_apply_are_refused(where: object, rule: Rule | Sharing) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        Composite("wrong", ((where, rule),))  # type: ignore[arg-type]


@pytest.mark.parametrize("line", [("convolution", ZPlus()), (kind("convolution"), "zplus")], ids=str)
def test_lines_that_are_none_are_refused(line: object) -> None:
    with pytest.raises(UsageError, match=r"mine: a line of a composite is \(where, rule\)"):
        Composite("mine", (line,))  # type: ignore[arg-type]


def test_a_kind_that_no_layer_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no kind 'conv' .* convolution, linear, norm, add, shift, average"):
        kind("conv")


def test_lines_may_come_in_a_list() -> None:
    composite = Composite("mine", [(kind("convolution"), ZPlus())])  # type: ignore[arg-type]
    assert (composite + named("epsilon_plus")).rule(CONVOLUTION) == ZPlus()
    assert composite == Composite("mine", ((kind("convolution"), ZPlus()),))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="epsilon_alpha2_beta1, epsilon_alpha2_beta1_flat, epsilon_plus"):
        named("epsilon_minus")
    with pytest.raises(UsageError, match=r"epsilon_gamma_box\(low, high\)"):
        named("epsilon_gamma_box")
    assert all(named(name).name == name for name in PRESETS)
