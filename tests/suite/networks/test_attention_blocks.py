"""Blocks of a transformer: attention written out, torch's own encoder layer, and rotary positions."""

import math

import pytest
import torch
from torch import nn

from suite.networks.attention_blocks import Block, SelfAttention, turn, waves


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_is_the_softmax_of_scaled_products_written_out(is_causal: bool) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(12, num_heads=3, bias=True, is_causal=is_causal)
    x = torch.randn(2, 5, 12)
    query, key, value = layer.query_key_value(x).split(12, dim=-1)
    heads = []
    for head in range(3):
        q, k, v = (part[..., 4 * head : 4 * head + 4] for part in (query, key, value))
        scores = q @ k.transpose(1, 2) / math.sqrt(4)
        if is_causal:
            scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(dim=-1) @ v)
    torch.testing.assert_close(layer(x, None), layer.branch_output(torch.cat(heads, dim=-1)))


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_is_torchs_encoder_layer(norm_first: bool) -> None:
    torch.manual_seed(0)
    ours = Block(12, num_heads=3, mlp_ratio=4, norm_first=norm_first, bias=True, is_causal=False)
    theirs = nn.TransformerEncoderLayer(12, 3, 48, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    names = {
        "self_attn.in_proj_": "attention.query_key_value.",
        "self_attn.out_proj.": "attention.branch_output.",
        "linear1.": "mlp.hidden.",
        "linear2.": "mlp.branch_output.",
        "norm1.": "attention_norm.",
        "norm2.": "mlp_norm.",
    }
    state = ours.state_dict()
    theirs.load_state_dict(
        {f"{name}{kind}": state[f"{mine}{kind}"] for name, mine in names.items() for kind in ("weight", "bias")}
    )
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x, None), theirs(x))


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    turns = waves(40, 8)
    turned_query, turned_key = (turn(x.expand(1, 1, 40, 8), turns)[0, 0] for x in (query, key))
    scores = turned_query @ turned_key.T
    for distance in (-7, 0, 1, 20):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)
    assert scores[0].std() > 0.1
    torch.testing.assert_close(scores[0, 0], (query * key).sum())
