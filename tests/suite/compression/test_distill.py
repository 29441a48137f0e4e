from typing import Any

import pytest
import torch
from torch.nn import functional

from suite.batch import Batch
from suite.compression.distill import Distill, divergence, unlikeness
from suite.errors import UserError
from suite.targets import NO_TARGET


def test_divergence_is_torchs_own_where_every_example_has_a_target() -> None:
    outputs, answers, targets = torch.randn(6, 4), torch.randn(6, 4), torch.zeros(6, dtype=torch.int64)
    theirs = functional.kl_div(
        functional.log_softmax(outputs / 3, dim=1), functional.softmax(answers / 3, dim=1), reduction="batchmean"
    )
    torch.testing.assert_close(divergence(outputs, answers, targets, 3.0), theirs)


def test_positions_without_a_target_do_not_count() -> None:
    outputs, answers = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    targets = torch.tensor([[1, NO_TARGET, 2], [NO_TARGET, 0, NO_TARGET]])
    kept = targets != NO_TARGET
    torch.testing.assert_close(
        divergence(outputs, answers, targets, 2.0), divergence(outputs[kept], answers[kept], targets[kept], 2.0)
    )


def test_models_that_see_every_pair_as_alike_are_not_unlike() -> None:
    features = torch.randn(8, 5)
    turn, _ = torch.linalg.qr(torch.randn(7, 7))
    wider = torch.cat([features, torch.zeros(8, 2)], dim=1) @ turn
    assert float(unlikeness(features, 3 * wider)) < 1e-12
    assert float(unlikeness(features, torch.randn(8, 7))) > 1e-3


def student_loss(models: Any, batch: Batch, **settings: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the student loses with and without its teacher, and what the teacher's part is."""
    student, teacher = models("mlp", seed=1, width=8), models("mlp", seed=2).eval()
    alone = student.losses(batch)["total"]
    Distill(**settings).attach(student, teacher, 10)
    soft = divergence(student(batch.inputs), teacher(batch.inputs), batch.targets, settings.get("temperature", 4.0))
    return student.losses(batch)["total"], alone, soft


def test_the_loss_mixes_both_parts_and_scales_the_soft_one_by_the_temperature(vectors: Any) -> None:
    batch = vectors.train().gather(slice(0, 16))
    together, alone, soft = student_loss(vectors, batch, temperature=3.0, soft_share=0.7)
    torch.testing.assert_close(together, 0.3 * alone + 0.7 * 9 * soft)


def test_a_share_of_zero_leaves_the_loss_as_it_was(vectors: Any) -> None:
    batch = vectors.train().gather(slice(0, 16))
    together, alone, _ = student_loss(vectors, batch, soft_share=0.0)
    torch.testing.assert_close(together, alone)


def test_features_add_their_unlikeness(vectors: Any) -> None:
    batch = vectors.train().gather(slice(0, 16))
    student, teacher = vectors("mlp", seed=1, width=8), vectors("mlp", seed=2).eval()
    Distill(feature_weight=5.0).attach(student, teacher, 10)
    plain, _, _ = student_loss(vectors, batch)
    hidden: list[torch.Tensor] = []
    for model in (student, teacher):
        model.get_submodule("output").register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
        model.predict(batch)
    seen = (hidden[0], hidden[1])
    torch.testing.assert_close(student.losses(batch)["total"], plain + 5 * unlikeness(*seen))


def test_the_teacher_is_no_part_of_the_student_and_gets_no_gradient(vectors: Any) -> None:
    student, teacher = vectors("mlp", seed=1, width=8), vectors("mlp", seed=2).eval()
    names = set(student.state_dict())
    Distill(feature_weight=1.0).attach(student, teacher, 10)
    assert set(student.state_dict()) == names
    student.losses(vectors.train().gather(slice(0, 16)))["total"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_a_family_with_a_loss_of_its_own_is_no_student(toys: dict[str, Any]) -> None:
    from tests.suite.compression.conftest import Models

    pictures = Models(toys["toy-reconstruction"]())
    with pytest.raises(UserError, match="brings a loss of its own"):
        Distill().attach(pictures("vae"), pictures("mlp"), 10)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": 0.0}, "0 < temperature"),
        ({"soft_share": 1.5}, "soft_share <= 1"),
        ({"feature_weight": -1}, "0 <="),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Distill(**settings)
