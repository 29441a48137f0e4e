"""Encoders of the library transformers, such as BERT and MiniLM, that read a task's characters as text."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from suite.errors import UserError
from suite.families._outside import CONFIG, WEIGHTS, Outside
from suite.fields import CategoricalDistribution
from suite.layers import Dropout
from suite.networks.text_encoder import (
    TOKENIZER,
    Facts,
    attention_mask,
    build,
    check_weights,
    read_facts,
    read_tokenizer,
    write_small_encoder,
)
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

PAD_NAME = "pad"
"""The token that stands for no character, in a card's token names."""
ReadoutName = Literal["mean", "first"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HuggingFace(Outside):
    """A text encoder of the library transformers with an affine output, pretrained or not, from a folder or the hub.

    The task's characters are put together to text again, and the encoder's own tokenizer cuts that into word pieces,
    once per split. Each text is as long as the longest of its split; what is added is not attended to. Models that do
    not attend to the whole text from every word piece are refused.

    Reference: Devlin et al., 2019, arXiv:1810.04805 (BERT); Wang et al., 2020, arXiv:2002.10957 (MiniLM); Wolf et al.,
    2020, arXiv:1910.03771 (the library).
    Differs from the paper: the encoder's own dropout is off, for the regulariser acts before the output layer; no
    pooling layer stands between encoder and output.
    """

    name: ClassVar[str] = "huggingface"
    packages: ClassVar[tuple[str, ...]] = ("transformers", "tokenizers")
    extra: ClassVar[str] = "text"
    needed: ClassVar[tuple[str, ...]] = (CONFIG, WEIGHTS, TOKENIZER)

    encoding: ClassVar[str] = "word pieces of the text, cut and numbered by the encoder's tokenizer.json, padded behind"

    pretrained: Annotated[bool, CategoricalDistribution((False, True))] = True
    """Begin with the folder's weights; otherwise its architecture and tokenizer, with weights drawn from the seed."""
    readout: Annotated[ReadoutName, CategoricalDistribution(("mean", "first"))] = "mean"
    """What the answer is read from: the mean over word pieces, or the first, which BERT puts before each text."""

    def own_weights(self) -> str | None:
        """Return the encoder and its digest, unless its weights are to be drawn from the seed."""
        return super().own_weights() if self.pretrained else None

    @property
    def facts(self) -> Facts:
        """What the encoder says of itself; where a folder is named."""
        source = self.source()
        assert source is not None, "no task is supported without"
        self.config()  # refuses what must not be opened
        return read_facts(source, self.weights_sha256)

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: inputs that are no text, or several answers, or no folder named."""
        if card.vocabulary is None or len(card.token_names) != card.vocabulary:
            return "reads text, and here inputs are no characters that the card names"
        if any(len(name) != 1 and name != PAD_NAME for name in card.token_names):
            return "reads text, and here tokens stand for more than a character"
        if card.is_causal or len(card.output_shape) > 1:
            return "sums a text up for one answer, and here there are several"
        if self.source() is None:
            return "needs an encoder, and none is named: give --family.folder PATH or --family.hub_name NAME"
        return None

    def encode(self, card: Card, inputs: Tensor) -> Tensor:
        """Return numbers of word pieces, (examples, pieces), padded on the right."""
        names, facts = ["" if name == PAD_NAME else name for name in card.token_names], self.facts
        texts = ["".join(names[token] for token in row) for row in inputs.tolist()]
        rows = [item.ids for item in self._tokenizer().encode_batch(texts)]
        lengths = [len(row) for row in rows]
        if max(lengths) > facts.most_pieces or min(lengths) == 0:
            place = next(place for place, length in enumerate(lengths) if not 0 < length <= facts.most_pieces)
            raise UserError(
                f"A text must have from 1 to {facts.most_pieces} word pieces, but that of example {place} has "
                f"{lengths[place]}. Take an encoder for such texts, or cut the texts in the task's settings."
            )
        found = torch.full((len(rows), max(lengths)), facts.pad, dtype=torch.int32)
        for place, row in enumerate(rows):
            found[place, : len(row)] = torch.tensor(row, dtype=torch.int32)
        if int(found.max()) >= facts.vocabulary:
            raise UserError(
                f"The tokenizer must number word pieces below {facts.vocabulary}, for which the encoder has "
                f"embeddings, but it gives {int(found.max())}. The two belong to different models."
            )
        return found

    def seen_card(self, card: Card) -> Card:
        """Return the card with word pieces as tokens, of which a text has some number."""
        return dataclasses.replace(
            card,
            input_shape=(self.facts.most_pieces,),
            vocabulary=self.facts.vocabulary,
            token_names=(),
            is_length_fixed=False,
        )

    def build(self, card: Card) -> "HuggingFaceLearner":
        """Return the learner."""
        return HuggingFaceLearner(self.seen_card(card), self)

    def build_encoder(self) -> nn.Module:
        """Return the encoder, with the folder's weights unless only shapes are asked for.

        Raises:
            UserError: The folder does not hold an encoder of the library with all of its weights.
        """
        source = self.source()
        assert source is not None, "no task is supported without"
        is_meta = torch.empty(0).device.type == "meta"
        if is_meta and self.pretrained:
            check_weights(source, self.weights_sha256)
        encoder: nn.Module = build(source, loads=self.pretrained and not is_meta)
        return encoder

    def _tokenizer(self) -> Any:
        source = self.source()
        assert source is not None, "no task is supported without"
        return read_tokenizer(source / TOKENIZER, self.weights_sha256)

    @classmethod
    def test_settings(cls, folder: Path) -> Mapping[str, Any]:
        """Write a BERT of two layers and 16 features, and a tokenizer of single characters."""
        write_small_encoder(folder)
        return {"folder": str(folder)}


class HuggingFaceLearner(SupervisedLearner):
    """An encoder, the mean over word pieces or the first one, and an affine output."""

    def __init__(self, card: Card, settings: HuggingFace) -> None:
        super().__init__(card)
        self.reads_first = settings.readout == "first"
        self.pad = settings.facts.pad
        # Drawn first: what the library draws before weights are loaded is its own affair.
        output = nn.Linear(settings.facts.width, card.num_outputs)
        self.encoder = settings.build_encoder()
        self.output_dropout = Dropout()
        self.output = output

    def forward(self, inputs: Int[Tensor, "batch pieces"]) -> Float[Tensor, "batch outputs"]:
        """Return one output per text."""
        is_text = inputs != self.pad
        features: Tensor = self.encoder(input_ids=inputs, attention_mask=attention_mask(is_text)).last_hidden_state
        if self.reads_first:
            summed = features[:, 0]
        else:
            weights = is_text.to(features.dtype).unsqueeze(2)
            summed = (features * weights).sum(dim=1) / weights.sum(dim=1)
        outputs: Tensor = self.output(self.output_dropout(summed))
        return outputs
