"""Text encoders of the library transformers: read from a folder, checked, and built without what is the suite's own."""

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from suite.errors import UserError
from suite.networks.libraries import at_home, first_line

TOKENIZER = "tokenizer.json"
CHECKED_PIECES = 512
"""Length of the texts by which an encoder is checked: longer than the windows that some attend within."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What an encoder says of itself, as its own library understands its configuration."""

    width: int
    vocabulary: int
    pad: int
    """Number of the word piece that fills texts up."""
    most_pieces: int
    """Word pieces that a text may have."""


@functools.lru_cache(maxsize=4)
def read_facts(source: Path, _digest: str) -> Facts:
    """Return what the encoder in a folder says of itself; raise `UserError` where it leaves something out."""
    with torch.device("meta"):
        encoder = build(source, loads=False)
    config = encoder.config
    # The library's own names, whatever the model calls them.
    names = ("hidden_size", "vocab_size", "pad_token_id", "max_position_embeddings")
    found: list[Any] = [getattr(config, name, None) for name in names]
    if not all(isinstance(value, int) for value in found):
        unsaid = next(name for name, value in zip(names, found, strict=True) if not isinstance(value, int))
        raise UserError(
            f"The encoder in {str(source)!r} must say its {', '.join(names)}, but says no {unsaid}. Take another one."
        )
    width, vocabulary, pad, most = map(int, found)
    positions = [module for name, module in encoder.named_modules() if name.endswith("position_embeddings")]
    if any(getattr(module, "padding_idx", None) is not None for module in positions):
        most -= pad + 1  # the first position comes after the padding's own, in RoBERTa and its kin
    return Facts(width, vocabulary, pad, most)


@functools.lru_cache(maxsize=4)
def check_weights(source: Path, digest: str) -> None:
    """Load the weights once, so that damaged ones, or those of another model, are found before a run begins.

    The mask of a run is of the form (batch, heads, queries, keys), which some models read in another way than the flat
    one that their library makes it from: those that attend to a part only, or to earlier word pieces. They are refused.
    """
    facts = read_facts(source, digest)
    with torch.device("cpu"), torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(0)
        encoder = build(source, loads=True).eval()
        length = min(facts.most_pieces, CHECKED_PIECES)
        pieces = torch.randint(facts.vocabulary, (2, length))
        pieces[pieces == facts.pad] = (facts.pad + 1) % facts.vocabulary
        pieces[1, length // 2 :] = facts.pad
        is_text = pieces != facts.pad
        try:
            wanted = encoder(input_ids=pieces, attention_mask=is_text.long()).last_hidden_state[is_text]
            found = encoder(input_ids=pieces, attention_mask=attention_mask(is_text)).last_hidden_state[is_text]
        except Exception as error:  # whatever the library raises for a model that is used in another way
            raise UserError(
                f"The encoder in {str(source)!r} must read word pieces, but: {first_line(error)}"
            ) from error
    if not torch.allclose(wanted, found, rtol=1e-3, atol=1e-4):
        raise UserError(
            f"The encoder in {str(source)!r} must attend to the whole text from every word piece, but it does not: it "
            "looks at earlier ones, or at a part. Take an encoder such as BERT."
        )


def attention_mask(is_text: Bool[Tensor, "batch pieces"]) -> Bool[Tensor, "batch 1 queries keys"]:
    """Return one mask for all heads and queries: of a flat one the library looks at values, which stops a graph."""
    return is_text[:, None, None, :].expand(-1, 1, is_text.shape[1], -1)


def build(source: Path, *, loads: bool) -> Any:
    """Return the encoder without its own dropout and pooling, ready to be trained."""
    with at_home(), _without_bars():
        from transformers import AutoConfig, AutoModel

        lacks: list[str] = []
        try:
            config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
            for name, value in config.to_dict().items():
                if "dropout" in name and isinstance(value, float):
                    setattr(config, name, 0.0)
            how: dict[str, Any] = {"attn_implementation": "sdpa", "dtype": torch.float32}
            if loads:
                how |= {"local_files_only": True, "use_safetensors": True, "ignore_mismatched_sizes": True}
                encoder, found = AutoModel.from_pretrained(source, config=config, output_loading_info=True, **how)
                # The pooling layer belongs to the pretraining, is often left out of a folder, and is dropped here.
                lacks = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
                lacks += sorted(str(name) for name, *_ in found["mismatched_keys"])
            else:
                encoder = AutoModel.from_config(config, **how)
        except Exception as error:  # a damaged configuration makes the library raise many types, with no common base
            raise UserError(
                f"{str(source)!r} must hold an encoder of transformers, but: {first_line(error)}"
            ) from error
    if lacks:
        raise UserError(
            f"The weights in {str(source)!r} must be those of the model in its config.json, but lack {lacks[0]!r}, or "
            "have it in another shape. Bring the whole folder."
        )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder.train()


@functools.lru_cache(maxsize=4)
def read_tokenizer(path: Path, _digest: str) -> Any:
    """Return the tokenizer that a file holds, set to cut nothing off and to add nothing."""
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
def _without_bars() -> Iterator[None]:
    from transformers.utils import logging

    had_bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bar:
            logging.enable_progress_bar()


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
    with torch.random.fork_rng([]), at_home(), _without_bars():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder, safe_serialization=True)
    (folder / TOKENIZER).write_text(json.dumps(json.loads(tokenizer.to_str())))
