"""P14: characters per second of nanoGPT's recipe for a CPU, here and in a loop written as nanoGPT's is."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import Comparison, NotEquivalentError, Sample, Scale, run, timed
from benchmarks.workload import Trained, train_ours
from suite.engine.data import epoch_order
from suite.engine.devices import Execution, configure_torch, usable_cores
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec
from tasks.sources import shakespeare

LENGTH, WIDTH, NUM_LAYERS, NUM_HEADS, BATCH_SIZE = 64, 128, 4, 4, 12
LR, BETAS, WEIGHT_DECAY, LONGEST_GRADIENT = 1e-3, (0.9, 0.99), 0.1, 1.0
TOLERANCE = 1e-4
"""Between the last losses, of about 2.5: sums are taken in another order, and 200 steps carry the rounding on."""


def comparisons(scale: Scale) -> Sequence[Comparison]:
    """Return the figure with all cores, as a user of either has it, and with one thread."""
    steps = 3 if scale.smoke else 200
    return [_comparison(threads, steps) for threads in sorted({usable_cores(), 1}, reverse=True)]


def _comparison(threads: int, steps: int) -> Comparison:
    prepared = prepare_recipe(steps=steps, threads=threads)
    return Comparison(
        name=f"P14 {threads} thread{'s' * (threads > 1)}",
        ours=partial(_ours, prepared),
        peer=partial(train_peer, prepared),
        check=same_loss,
        what_is_timed=f"Training.run over {steps} steps of {BATCH_SIZE * LENGTH} characters, the Trainer's making "
        "included, with every step's loss in metrics.jsonl. Neither side validates.",
        peer_is="the loop of github.com/karpathy/nanoGPT, train.py, under its recipe for a CPU (no compilation), "
        "written anew: windows stacked one by one from a memory-mapped file's array of uint16, torch's AdamW with its "
        "default implementation on CPUs, clip_grad_norm_, the loss read after each step; its model has fused "
        "projections of queries, keys and values, and scaled_dot_product_attention.",
        equivalence=f"equal initial weights, windows and rates; number of steps equal, last losses within {TOLERANCE}",
        goal=1.0,
    )


def prepare_recipe(*, steps: int, threads: int, seed: int = 0) -> Prepared:
    """Prepare the recipe; the warm-up is a twentieth of the steps, as it is there."""
    spec = RunSpec.from_mapping(
        {
            "task": {"name": "shakespeare-char", "block_length": LENGTH, "published_split": True},
            "family": {
                "name": "transformer",
                "num_layers": NUM_LAYERS,
                "num_heads": NUM_HEADS,
                "width": WIDTH,
                "bias": False,
                "tie_weights": True,
            },
            "seed": seed,
            "data": {"batch_size": BATCH_SIZE},
            "optimization": {
                "lr": LR,
                "beta2": BETAS[1],
                "schedule": "warmup-cosine",
                "warmup_fraction": 0.05,
                "final_lr_fraction": 0.1,
            },
            "regularization": {
                "weight_decay": WEIGHT_DECAY,
                "weight_decay_scope": "matrices",
                "gradient_clipping": LONGEST_GRADIENT,
            },
            "budget": {"steps": steps},
            "evaluation": {"selection": "last"},
        }
    )
    configure_torch(threads=threads, deterministic=True)
    return prepare(spec, Execution(device="cpu", threads=threads))


def _ours(prepared: Prepared) -> Sample:
    configure_torch(threads=prepared.threads, deterministic=True)
    return train_ours(prepared, writes_log=True)


def same_loss(ours: Trained, peer: Trained) -> None:
    """Raise `NotEquivalentError` unless the steps agree, and the last losses nearly."""
    if ours.steps != peer.steps:
        raise NotEquivalentError(f"steps differ: {ours.steps} and {peer.steps}")
    if not abs(ours.last_loss - peer.last_loss) <= TOLERANCE:
        raise NotEquivalentError(f"the last losses differ by more than {TOLERANCE}: {ours.last_loss}, {peer.last_loss}")


def train_peer(prepared: Prepared) -> Sample:
    """Time nanoGPT's loop over the windows of the prepared run, from its learner's initial weights."""
    configure_torch(threads=prepared.threads, deterministic=True)
    assert prepared.total_steps is not None
    rate = prepared.spec.optimization.build_schedule(prepared.total_steps)
    learner, text = prepared.build_learner(), _training_text()
    model = GPT(vocabulary=len(shakespeare.CHARACTERS))
    with torch.no_grad():
        for mine, theirs in zip(model.parameters(), learner.parameters(), strict=True):
            mine.copy_(theirs)
    starts = _windows(prepared, len(text) - LENGTH)
    loss = float("nan")
    with timed() as sample:
        matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
        vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS)
        for step, indices in enumerate(starts):
            for group in optimizer.param_groups:
                group["lr"] = LR * rate(step)
            inputs, targets = _batch(text, indices)
            total = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss = total.item()
    sample.outcome = Trained(prepared.total_steps, loss, [])
    return sample


def _training_text() -> np.ndarray:
    text = shakespeare.read()
    return np.asarray(shakespeare.encode(text[: int(0.9 * len(text))]), dtype=np.uint16)


def _windows(prepared: Prepared, num_windows: int) -> Iterator[Tensor]:
    """Yield where each window of each step starts, in the order of our loader's first epoch."""
    train = prepared.resident("train")
    assert train is not None
    assert prepared.total_steps is not None
    order = epoch_order(prepared.build_loader(train).seed, 0, num_windows, shuffle=True)
    return iter(order[: prepared.total_steps * BATCH_SIZE].view(-1, BATCH_SIZE))


def _batch(text: np.ndarray, starts: Tensor) -> tuple[Tensor, Tensor]:
    inputs = torch.stack([torch.from_numpy(text[start : start + LENGTH].astype(np.int64)) for start in starts])
    targets = torch.stack([torch.from_numpy(text[start + 1 : start + 1 + LENGTH].astype(np.int64)) for start in starts])
    return inputs, targets


class GPT(nn.Module):
    """The recipe's model: a decoder with norms first, no biases, and an output tied to the embedding.

    Its parameters come in the order of those of the family `transformer`.
    """

    def __init__(self, *, vocabulary: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.empty(LENGTH, WIDTH))
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(NUM_LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of every next token: (batch, positions) to (batch, positions, vocabulary)."""
        x = self.tokens(inputs) + self.positions[: inputs.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return functional.linear(self.norm(x), self.tokens.weight)


class Layer(nn.Module):
    """Causal attention and a perceptron, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(WIDTH, bias=False)
        self.joint = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.merged = nn.Linear(WIDTH, WIDTH, bias=False)
        self.second_norm = nn.LayerNorm(WIDTH, bias=False)
        self.wide = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features after both branches: (batch, positions, width)."""
        size = WIDTH // NUM_HEADS
        split = (
            part.unflatten(2, (NUM_HEADS, size)).transpose(1, 2) for part in self.joint(self.first_norm(x)).chunk(3, 2)
        )
        attended = functional.scaled_dot_product_attention(*split, is_causal=True)
        x = x + self.merged(attended.transpose(1, 2).flatten(2))
        wider: Tensor = self.wide(self.second_norm(x))
        return x + self.narrow(functional.gelu(wider))


if __name__ == "__main__":
    sys.exit(run("p14_characters", comparisons))
