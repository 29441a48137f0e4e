"""Encoders of the library transformers, such as BERT and MiniLM, that read a task's characters as text."""

import contextlib
import dataclasses
import functools
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn

from suite.errors import UserError
from suite.families._outside import CONFIG, WEIGHTS, Outside
from suite.fields import CategoricalDistribution
from suite.layers import Dropout
from suite.learner import SupervisedLearner
from suite.task import Card

TOKENIZER = "tokenizer.json"
PAD_NAME = "pad"
"""The token that stands for no character, in a card's token names."""
ReadoutName = Literal["mean", "first"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HuggingFace(Outside):
    """A text encoder of the library transformers with an affine output, pretrained or not, from a folder or the hub.

    The task's characters are put together to text again, and the encoder's own tokenizer cuts that into word pieces,
    once per split. Each text is as long as the longest of its split; what is added is not attended to.

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
    def most_pieces(self) -> int:
        """Word pieces that a text may have."""
        return int(self.config().get("max_position_embeddings") or 512)

    @property
    def pad(self) -> int:
        """Number of the word piece that fills texts up."""
        return int(self.config().get("pad_token_id") or 0)

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: inputs that are no text, or several answers, or no folder named."""
        if card.vocabulary is None or len(card.token_names) != card.vocabulary:
            return "reads text, and here inputs are no characters that the card names"
        if any(len(name) != 1 and name != PAD_NAME for name in card.token_names):
            return "reads text, and here tokens stand for more than a character"
        if card.is_causal or len(card.output_shape) > 1:
            return "sums a text up for one answer, and here there are several"
        if self.source() is None:
            return "needs the folder of an encoder, family.folder or family.hub_name, and none is named"
        return None

    def encode(self, card: Card, inputs: Tensor) -> Tensor:
        """Return numbers of word pieces, (examples, pieces), padded on the right."""
        names = ["" if name == PAD_NAME else name for name in card.token_names]
        texts = ["".join(names[token] for token in row) for row in inputs.tolist()]
        rows = [item.ids for item in self._tokenizer().encode_batch(texts)]
        longest, most = max(map(len, rows)), self.most_pieces
        if longest > most:
            place = next(place for place, row in enumerate(rows) if len(row) > most)
            raise UserError(
                f"A text may have {most} word pieces at most, but that of example {place} has {len(rows[place])}. "
                "Take an encoder for longer texts, or cut the texts in the task's settings."
            )
        found = torch.full((len(rows), longest), self.pad, dtype=torch.int32)
        for place, row in enumerate(rows):
            found[place, : len(row)] = torch.tensor(row, dtype=torch.int32)
        return found

    def seen_card(self, card: Card) -> Card:
        """Return the card with word pieces as tokens, of which a text has some number."""
        return dataclasses.replace(
            card,
            input_shape=(self.most_pieces,),
            vocabulary=int(self.config()["vocab_size"]),
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
            _check_weights(source, self.weights_sha256)
        return _build(source, loads=self.pretrained and not is_meta)

    def _tokenizer(self) -> Any:
        source = self.source()
        assert source is not None, "no task is supported without"
        return _read_tokenizer(source / TOKENIZER, self.weights_sha256)

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
        self.pad = settings.pad
        # Drawn first: what the library draws before weights are loaded is its own affair.
        output = nn.Linear(int(settings.config()["hidden_size"]), card.num_outputs)
        self.encoder = settings.build_encoder()
        self.output_dropout = Dropout()
        self.output = output

    def forward(self, inputs: Int[Tensor, "batch pieces"]) -> Float[Tensor, "batch outputs"]:
        """Return one output per text."""
        is_text = inputs != self.pad
        # One mask for all heads and queries: given a flat one, the library looks at its values, and stops a graph.
        mask = is_text[:, None, None, :].expand(-1, 1, inputs.shape[1], -1)
        features: Tensor = self.encoder(input_ids=inputs, attention_mask=mask).last_hidden_state
        if self.reads_first:
            summed = features[:, 0]
        else:
            weights = is_text.to(features.dtype).unsqueeze(2)
            summed = (features * weights).sum(dim=1) / weights.sum(dim=1)
        outputs: Tensor = self.output(self.output_dropout(summed))
        return outputs


@functools.lru_cache(maxsize=4)
def _check_weights(source: Path, _digest: str) -> None:
    """Load the weights once, so that damaged ones, or those of another model, are found before a run begins."""
    with torch.device("cpu"):
        _build(source, loads=True)


def _build(source: Path, *, loads: bool) -> nn.Module:
    """Return the encoder without its own dropout and pooling, ready to be trained."""
    with _quiet():
        from transformers import AutoConfig, AutoModel

        try:
            config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
            for name, value in config.to_dict().items():
                if "dropout" in name and isinstance(value, float):
                    setattr(config, name, 0.0)
            how: dict[str, Any] = {"attn_implementation": "sdpa", "dtype": torch.float32}
            lacks: list[str] = []
            if loads:
                how |= {"local_files_only": True, "use_safetensors": True, "ignore_mismatched_sizes": True}
                encoder, found = AutoModel.from_pretrained(source, config=config, output_loading_info=True, **how)
                # The pooling layer belongs to the pretraining, is often left out of a folder, and is dropped here.
                lacks = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
                lacks += sorted(str(name) for name, *_ in found["mismatched_keys"])
            else:
                encoder = AutoModel.from_config(config, **how)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{str(source)!r} must hold an encoder of transformers, but: {first}") from error
    if lacks:
        raise UserError(
            f"The weights in {str(source)!r} must be those of the model in its config.json, but lack {lacks[0]!r}, or "
            "have it in another shape. Bring the whole folder."
        )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    built: nn.Module = encoder.train()
    return built


@functools.lru_cache(maxsize=4)
def _read_tokenizer(path: Path, _digest: str) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # threads that a forked worker would not have
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{str(path)!r} must hold a tokenizer, but: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the bars and remarks of the library, and of those that it tries to import, off the terminal."""
    logging.disable(logging.WARNING)
    try:
        from transformers.utils import logging as bars

        had_bar = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()
        try:
            yield
        finally:
            if had_bar:
                bars.enable_progress_bar()
    finally:
        logging.disable(logging.NOTSET)


def write_small_encoder(folder: Path, *, most_pieces: int = 40) -> None:
    """Write a BERT of two layers with random weights and a tokenizer whose pieces are single letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.WordLevel({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=most_pieces,
        pad_token_id=0,
    )
    with torch.random.fork_rng([]), _quiet():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder, safe_serialization=True)
    (folder / TOKENIZER).write_text(json.dumps(json.loads(tokenizer.to_str())))
