"""Image models of the library timm, such as ResNets, ConvNeXts and vision transformers."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from suite.errors import UserError, did_you_mean, shown
from suite.families._outside import WEIGHTS, Outside
from suite.fields import Bounds
from suite.layers import Dropout
from suite.learner import SupervisedLearner
from suite.task import Card


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timm(Outside):
    """An image model of the library timm with an affine output, its weights drawn from the seed or from a folder.

    The first layer takes the task's channels: where a folder's weights have others, the library sums or repeats them.
    Models that are made for one size of image are built for the task's. Those that halve an image five times see
    next to nothing in one of 28 pixels: `image_size` makes it larger first.

    Reference: Wightman, 2019, github.com/huggingface/pytorch-image-models (doi 10.5281/zenodo.4414861).
    Differs from the paper: images are normalised by the task's own mean and deviation, not by those of ImageNet;
    their size is the task's unless `image_size` says otherwise; the library's own drop rates are 0, as the regulariser
    acts before the output layer.
    """

    name: ClassVar[str] = "timm"
    packages: ClassVar[tuple[str, ...]] = ("timm", "torchvision")
    extra: ClassVar[str] = "vision"

    model: str = "resnet18"
    """Name of the model, as `timm.list_models` gives them; that of the folder's config.json where one is named."""

    image_size: Annotated[int | None, Bounds(low=1)] = None
    """Pixels along each side that images are stretched or shrunk to, bilinearly, before the model sees them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        named = self.config().get("architecture")
        if self.source() is not None and not isinstance(named, str):
            raise UserError(
                f"The config.json of {str(self.source())!r} must name its timm model under `architecture`, but has "
                f"{shown(named)}. `timm.models.save_for_hf` writes such a folder."
            )
        if named is not None:
            if self.was_given("model") and self.model != named:
                raise UserError(
                    f"The weights in {str(self.source())!r} are of the model {named!r}, but got "
                    f"family.model={self.model!r}. Leave it out, or name another folder."
                )
            object.__setattr__(self, "model", named)

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: inputs that are no images, or several answers."""
        if len(card.input_shape) != 3:
            return "takes images, and here inputs are none"
        if len(card.output_shape) > 1:
            return "sums an image up for one answer, and here there are several"
        return None

    def seen_shape(self, card: Card) -> tuple[int, ...]:
        """Return the shape of an image as the model sees it: (channels, height, width)."""
        return card.input_shape if self.image_size is None else (card.input_shape[0], self.image_size, self.image_size)

    def build(self, card: Card) -> "TimmLearner":
        """Return the learner."""
        return TimmLearner(card, self)

    def build_model(self, card: Card) -> Any:
        """Return the model without its classifier, with the folder's weights unless only shapes are asked for.

        Raises:
            UserError: There is no such model, it cannot take the task's images, or the folder's weights are of another.
        """
        shape, source = self.seen_shape(card), self.source()
        weights = None if source is None else _only_file(source)
        if torch.empty(0).device.type != "meta":
            return _build(self.model, shape, weights)
        if weights is not None:
            _check_weights(self.model, shape, weights, self.weights_sha256)
        model = _build(self.model, shape, None)
        with _refusing(self.model, shape):
            model.eval()(torch.zeros((1, *shape)))
        return model.train()

    @classmethod
    def test_settings(cls, folder: Path) -> Mapping[str, Any]:
        """Return the library's own model for tests."""
        return {"model": "test_resnet", "image_size": 64}


class TimmLearner(SupervisedLearner):
    """A model of the library up to its pooled features, and an affine output."""

    def __init__(self, card: Card, settings: Timm) -> None:
        super().__init__(card)
        self.image_size = settings.image_size
        self.model = settings.build_model(card)
        self.output_dropout = Dropout()
        self.output = nn.Linear(self.model.num_features, card.num_outputs)

    def forward(self, inputs: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs"]:
        """Return one output per image."""
        if self.image_size is not None:
            size = (self.image_size, self.image_size)
            inputs = functional.interpolate(inputs, size, mode="bilinear", antialias=False)
        features: Tensor = self.model(inputs)
        outputs: Tensor = self.output(self.output_dropout(features))
        return outputs


@functools.lru_cache(maxsize=4)
def _check_weights(name: str, shape: tuple[int, ...], weights: Path, _digest: str) -> None:
    """Load the weights once, so that damaged ones, or those of another model, are found before a run begins."""
    with torch.device("cpu"):
        _build(name, shape, weights)


def _build(name: str, shape: tuple[int, ...], weights: Path | None) -> Any:
    """Return a model for images of ``shape`` up to its pooled features, with the weights of a file if any."""
    import timm

    if not timm.is_model(name):
        raise UserError(
            f"Unknown timm model {name!r}.{did_you_mean(name, timm.list_models())} `timm.list_models()` names all."
        )
    how: dict[str, Any] = {"num_classes": 0, "in_chans": shape[0]}
    if weights is not None:
        how |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights), "hf_hub_id": None}}
    with _refusing(name, shape):
        try:
            model = timm.create_model(name, **how, img_size=shape[1:])
        except TypeError:  # most models take images of any size, and no such argument
            model = timm.create_model(name, **how)
    return model.train()


@contextlib.contextmanager
def _refusing(name: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what the library says of a model that does not go with its images or weights into the user's terms."""
    try:
        yield
    except (RuntimeError, AssertionError, ValueError, KeyError, SafetensorError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"The timm model {name!r} must go with images of shape {shape} and with its weights, but: {first}. Take "
            "another model, other weights, or other images by family.image_size."
        ) from error


def _only_file(source: Path) -> Path:
    found = sorted(source.glob(WEIGHTS))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{str(source)!r} must hold one file of safetensors, but holds {names}.")
    return found[0]
