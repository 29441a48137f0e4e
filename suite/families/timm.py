"""Image models of the library timm, such as ResNets, ConvNeXts and vision transformers."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from suite.errors import UserError, did_you_mean, shown
from suite.families._outside import WEIGHTS, Outside
from suite.fields import Bounds
from suite.layers import Dropout
from suite.networks.libraries import at_home, first_line
from suite.supervised_learner import SupervisedLearner
from suite.task import Card
from suite.weights import read_tensors


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timm(Outside):
    """An image model of the library timm with an affine output, its weights drawn from the seed or from a folder.

    The first layer takes the task's channels: where a folder's weights have others, the library sums or repeats them.
    Models that are made for one size of image are built for the task's. Those that halve an image five times see
    next to nothing in one of 28 pixels: `image_size` makes it larger first.

    Reference: Wightman, 2019, github.com/huggingface/pytorch-image-models (doi 10.5281/zenodo.4414861).
    Differs from the paper: images are normalised by the task's own mean and deviation, not by those of ImageNet;
    their size is the task's unless `image_size` says otherwise; what the library itself drops in training is off, for
    the regulariser acts before the output layer.
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
        weights = None if source is None else source / WEIGHTS
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
    """Load the weights once, so that damaged ones, or those of another model, are found before a run begins.

    The library passes over names that it does not know, and over those that are missing, where the classes differ.
    """
    with torch.device("cpu"):
        model = _build(name, shape, weights)
    wanted, found = model.state_dict(), read_tensors(weights)
    config = model.pretrained_cfg
    heads, first = _names(config.get("classifier")), [f"{item}.weight" for item in _names(config.get("first_conv"))]
    there = {key for key in found if not any(key.startswith(f"{head}.") for head in heads)}
    strange = sorted(set(wanted) ^ there)
    strange += sorted(key for key in set(wanted) & there if wanted[key].shape != found[key].shape and key not in first)
    # The library turns colours into other channels; of anything else it draws a new first layer without a word.
    strange += [key for key in first if key in found and found[key].shape[1] not in (3, wanted[key].shape[1])]
    if strange:
        raise UserError(
            f"The weights in {str(weights)!r} must be those of the timm model {name!r}, but {strange[0]!r} is in "
            "one of the two only, or of another shape. Save the whole model by its library."
        )


def _build(name: str, shape: tuple[int, ...], weights: Path | None) -> Any:
    """Return a model for images of ``shape`` up to its pooled features, with the weights of a file if any.

    What the library itself drops in training, be it by default, is switched off.
    """
    import timm

    if not timm.is_model(name):
        raise UserError(
            f"Unknown timm model {name!r}.{did_you_mean(name, timm.list_models())} `timm.list_models()` names all."
        )
    how: dict[str, Any] = {"num_classes": 0, "in_chans": shape[0]}
    if weights is not None:
        how |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights), "hf_hub_id": None}}
    with at_home(), _refusing(name, shape):
        try:
            model = timm.create_model(name, **how, img_size=shape[1:])
        except TypeError as error:  # most models take images of any size, and no such argument
            if "img_size" not in str(error):
                raise
            model = timm.create_model(name, **how)
    for module in model.modules():
        for rate in ("p", "drop_prob"):
            if "drop" in type(module).__name__.lower() and hasattr(module, rate):
                setattr(module, rate, 0.0)
    return model.train()


def _names(entry: object) -> list[str]:
    """Return the layers that an entry of a model's configuration names: none, one or several."""
    return [entry] if isinstance(entry, str) else list(entry) if isinstance(entry, list | tuple) else []


@contextlib.contextmanager
def _refusing(name: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what the library says of a model that does not go with its images or weights into the user's terms."""
    try:
        yield
    except Exception as error:  # models raise many types, with no common base
        raise UserError(
            f"The timm model {name!r} must go with images of shape {shape} and with its weights, but: "
            f"{first_line(error)}. Take another model, other weights, or other images by family.image_size."
        ) from error
