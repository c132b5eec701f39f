"""Our Muon is PyTorch's, but for the precision of its products."""

import pytest
import torch
from torch import nn

from alpamayo_ros.training.muon import Muon, orthogonalised


def trained(make, steps=4):
    """Matrices of three shapes after steps with the same gradients, and the state that is saved."""
    draw = torch.Generator().manual_seed(0)
    matrices = [nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((24, 8), (8, 24), (16, 16))]
    optimiser = make([{"params": matrices, "weight_decay": 0.1}])
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=draw)
        optimiser.step()
    return torch.cat([matrix.detach().flatten() for matrix in matrices]), optimiser.state_dict()


def test_in_bfloat16_it_is_the_one_of_pytorch():
    mine, state = trained(lambda groups: Muon(groups, lr=0.01, precision=torch.bfloat16))
    theirs, other = trained(lambda groups: torch.optim.Muon(groups, lr=0.01, adjust_lr_fn="match_rms_adamw"))
    torch.testing.assert_close(mine, theirs, atol=0.0, rtol=0.0)
    assert {number: [*held] for number, held in state["state"].items()} == {
        number: [*held] for number, held in other["state"].items()
    }


def test_in_float32_it_goes_the_same_way():
    mine, _ = trained(lambda groups: Muon(groups, lr=0.01, precision=torch.float32))
    theirs, _ = trained(lambda groups: Muon(groups, lr=0.01, precision=torch.bfloat16))
    begun, _ = trained(lambda groups: Muon(groups, lr=0.0, precision=torch.float32))
    assert float((mine - theirs).norm()) < 0.02 * float((theirs - begun).norm())


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (12, 12)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    # The coefficients bring small ones up fast, and leave all between about 0.7 and 1.2.
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_a_closure_is_refused():
    with pytest.raises(ValueError, match="no closure"):
        Muon([{"params": [nn.Parameter(torch.zeros(2, 2))]}], lr=0.1, precision=torch.float32).step(lambda: 0.0)
