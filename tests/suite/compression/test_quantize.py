from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from suite.compression import quantize
from suite.compression.quantize import Quantize
from suite.errors import UserError
from suite.learner import Learner

pytest.importorskip("torchao", reason="an extra that `make install` leaves out")

NEAR = {"int8-weight-only": 0.03, "int8-dynamic": 0.1, "int8-static": 0.1, "int4-weight-only": 0.3}
"""Scheme -> largest relative error of the outputs: inputs may have 7 bits, on processors that would overflow."""


def quantised(models: Any, family: str, scheme: Any, **settings: Any) -> tuple[Learner, Learner, dict[str, Tensor]]:
    """Return a model before and after, and the tensors in between."""
    method = Quantize(scheme=scheme, **settings)
    learner, original = models(family, seed=1), models(family, seed=2).eval()
    method.attach(learner, original, 0)
    packed = method.pack(learner.eval(), models.train(), seed=0)
    fresh = models(family, seed=3)
    method.load(fresh, packed)
    return original, fresh.eval(), packed


def predictions(models: Any, *learners: Learner) -> list[Tensor]:
    batch = models.train().gather(slice(0, 64))
    with torch.no_grad():
        return [learner.predict(batch) for learner in learners]


@pytest.mark.parametrize("scheme", NEAR)
@pytest.mark.parametrize("family", ["mlp", "cnn", "transformer"])
def test_predictions_stay_near_those_of_the_original(images: Any, family: str, scheme: str) -> None:
    original, fresh, _ = quantised(images, family, scheme)
    before, after = predictions(images, original, fresh)
    assert 0 < (after - before).norm() / before.norm() < NEAR[scheme]


@pytest.mark.parametrize("family", ["transformer", "tcn", "rnn"])
def test_tokens_are_embedded_from_whole_numbers(texts: Any, family: str) -> None:
    original, fresh, packed = quantised(texts, family, "int8-weight-only")
    embeddings = [name for name, module in original.named_modules() if isinstance(module, nn.Embedding)]
    assert {f"{name}.weight@numbers" for name in embeddings} <= set(packed)
    before, after = predictions(texts, original, fresh)
    assert 0 < (after - before).norm() / before.norm() < 0.03


def test_each_row_of_eight_bits_is_rounded_by_its_largest_weight(vectors: Any) -> None:
    original, fresh, packed = quantised(vectors, "mlp", "int8-weight-only")
    weight = original.get_parameter("output.weight")
    numbers, scales = packed["output.weight@numbers"], packed["output.weight@scales"]
    assert numbers.dtype == torch.int8
    torch.testing.assert_close(scales.squeeze(1), weight.abs().amax(dim=1) / 127.5)
    assert ((numbers * scales - weight).abs() <= scales * 0.5001).float().mean() > 0.98
    torch.testing.assert_close(fresh.get_submodule("output").weight.dequantize(), numbers * scales)


def test_a_group_of_four_bits_has_a_scale_of_its_own(vectors: Any) -> None:
    original, fresh, packed = quantised(vectors, "mlp", "int4-weight-only", group_size=16)
    assert packed["output.weight@scales"].shape == (4, original.get_parameter("output.weight").shape[1] // 16)
    assert packed["output.weight@numbers"].dtype == torch.uint8
    assert packed["output.weight@numbers"].numel() == original.get_parameter("output.weight").numel() // 2
    weight = fresh.get_submodule("output").weight
    assert len(torch.unique(weight[0, :16])) <= 16
    assert weight.unflatten(1, (-1, 16)).shape[1] == packed["output.weight@scales"].shape[1]


def test_a_row_that_no_group_divides_has_one_scale(vectors: Any) -> None:
    _, _, packed = quantised(vectors, "mlp", "int4-weight-only", group_size=16)
    assert packed["hidden.0.0.weight@scales"].shape[1] == 1, "the input has 20 values"


@given(numbers=st.lists(st.integers(-8, 7), min_size=1, max_size=33))
def test_two_numbers_share_a_byte_and_come_apart_again(numbers: list[int]) -> None:
    tensor = torch.tensor(numbers, dtype=torch.int8)
    packed = quantize._two_per_byte(tensor)
    assert len(packed) == (len(numbers) + 1) // 2
    assert torch.equal(quantize._one_per_byte(packed, tensor.shape), tensor)


def test_static_scales_come_from_the_training_examples(vectors: Any) -> None:
    _, _, packed = quantised(vectors, "mlp", "int8-static")
    train = vectors.train()
    (largest,) = packed["hidden.0.0.weight@largest_input"].flatten()
    assert float(largest) == float(train.inputs.abs().max())
    _, _, few = quantised(vectors, "mlp", "int8-static", calibration_examples=3)
    assert float(few["hidden.0.0.weight@largest_input"]) < float(largest)


def test_static_clips_what_is_larger_than_any_training_example(vectors: Any) -> None:
    _, static, _ = quantised(vectors, "mlp", "int8-static")
    _, dynamic, _ = quantised(vectors, "mlp", "int8-dynamic")
    batch = vectors.train().gather(slice(0, 8))
    huge = batch._replace(inputs=100 * batch.inputs)
    with torch.no_grad():
        assert static.predict(huge).abs().max() < 0.1 * dynamic.predict(huge).abs().max()


def test_recurrent_layers_stay_floats_and_the_note_says_how_much_became_whole(texts: Any) -> None:
    _, fresh, packed = quantised(texts, "rnn", "int8-weight-only")
    assert packed["recurrent.0.weight_hh_l0"].dtype == torch.float32
    share = float(Quantize().note(fresh).partition("%")[0])
    assert 0 < share < 50


def test_weights_of_another_model_are_refused(vectors: Any) -> None:
    _, _, packed = quantised(vectors, "mlp", "int8-weight-only")
    with pytest.raises(UserError, match="They belong to another model"):
        Quantize().load(vectors("mlp", width=3), packed)
    with pytest.raises(UserError, match="They belong to another model"):
        Quantize(scheme="int4-weight-only").load(vectors("mlp"), packed)
