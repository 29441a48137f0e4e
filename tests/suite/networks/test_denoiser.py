"""Denoisers: shapes of every size, the same answer whatever stands beside, and levels that count."""

import pytest
import torch

from suite.networks.denoiser import UNet, VectorDenoiser, doubled


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2, 9), (1, 28, 28), (2, 1, 4)])
@pytest.mark.parametrize("num_blocks", [1, 2])
def test_a_u_net_answers_in_the_shape_of_its_input_for_even_and_odd_sizes(
    shape: tuple[int, ...], num_blocks: int
) -> None:
    network = UNet(shape, (4, 6, 8), num_blocks)
    noisy = torch.randn(3, *shape)
    answer = network(noisy, torch.rand(3))
    assert answer.shape == noisy.shape
    answer.sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_an_answer_depends_on_example_and_level_and_on_no_neighbour() -> None:
    for network, shape in ((UNet((1, 6, 6), (4, 8), 1), (1, 6, 6)), (VectorDenoiser(3, 16, 2), (3,))):
        noisy, levels = torch.randn(4, *shape), torch.rand(4)
        answer = network(noisy, levels)
        torch.testing.assert_close(answer[2:3], network(noisy[2:3], levels[2:3]), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(answer, network(noisy, 1 - levels))
        assert not torch.allclose(answer, network(noisy + 0.1, levels))


def test_doubling_repeats_every_position_and_cuts_to_size() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    expected = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(doubled(x, (4, 6)), expected)
    assert torch.equal(doubled(x, (3, 5)), expected[:, :, :3, :5])
