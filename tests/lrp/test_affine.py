import pytest
import torch

from relmask.lrp.affine import NEGATIVE, ONES, PLAIN, POSITIVE, SQUARES, Affine, Layer, Signed, stabilise
from tests.lrp.dense import CASES, Case

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_parts_are_made_entry_by_entry() -> None:
    w = torch.tensor([-2.0, 0.0, 3.0])
    assert PLAIN(w).tolist() == [-2, 0, 3]
    assert POSITIVE(w).tolist() == [0, 0, 3]
    assert NEGATIVE(w).tolist() == [-2, 0, 0]
    assert Signed(2, 1)(w).tolist() == [-2, 0, 6]
    assert SQUARES(w).tolist() == [4, 0, 9]
    assert ONES(w).tolist() == [1, 1, 1]


def test_denominators_move_away_from_zero_and_zero_counts_as_positive() -> None:
    totals = torch.tensor([-1.0, -0.0, 0.0, 1.0])
    torch.testing.assert_close(stabilise(totals, 0.5), torch.tensor([-1.5, 0.5, 0.5, 1.5]))
    torch.testing.assert_close(stabilise(totals, 0.5, sign=-1), torch.tensor([-1.5, -0.5, -0.5, 0.5]))


@each_case
def test_back_is_the_transposed_matrix(case: Case) -> None:
    layer = Layer(case.linear, case.weight, case.bias, (PLAIN,))
    x = torch.randn(case.shape, dtype=torch.float64)
    affine = Affine(layer, x, case.pads)
    s = torch.randn_like(affine.total(PLAIN))
    expected = s.flatten(1) @ case.matrix()
    torch.testing.assert_close(affine.transposed(PLAIN, s), expected.view_as(x))


@each_case
def test_a_signed_input_is_two_non_negative_ones(case: Case) -> None:
    x = torch.randn(case.shape, dtype=torch.float64)
    layer = Layer(case.linear, case.weight, case.bias, (PLAIN, POSITIVE, NEGATIVE), signed=True)
    affine = Affine(layer, x, case.pads)
    halves = affine.inputs(POSITIVE)
    assert not (halves < 0).any()
    torch.testing.assert_close(case.linear.whole(halves), x.abs())
    torch.testing.assert_close(
        affine.total(POSITIVE) + affine.total(NEGATIVE), case.function(x, case.weight, case.bias)
    )


def test_parts_follow_the_module_to_another_float_type() -> None:
    case = CASES[1]
    layer = Layer(case.linear, case.weight, case.bias, (PLAIN, POSITIVE)).float()
    assert {buffer.dtype for buffer in layer.buffers()} == {torch.float32}
    assert not layer.state_dict()
