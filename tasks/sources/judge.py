"""The judge of generated pictures: a small classifier, trained here once, whose features samples are compared on.

Published scores rest on the features of a network trained on ImageNet, which has to be downloaded and sees no digits.
This one is made by a recipe from the task's own training pictures and their labels.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from suite.task import TRAIN_ONLY, Task
from tasks.sources import places

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "judges"
"""Folder of the trained networks in the user's cache."""
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
ROWS_AT_ONCE = 1000


class Judged(Task):
    """A task that scores samples on features; a subclass says which task's pictures and labels train the judge.

    The recipe is fixed: one thread, a generator of its own, Adam with a learning rate that falls to 0. What it gives is
    a function of the data, torch's version and the processor's instructions, and all of them stand in the name of the
    file in the cache. Another processor rounds otherwise and so gets other features, whose scores differ by a few per
    cent; `scorer_sha256` tells them apart.
    """

    original: ClassVar[type[Task]]
    """The task whose training pictures and labels the judge learns."""
    num_levels: ClassVar[int]
    """Largest stored value of a pixel; values from 0 to there become those from -1 to 1."""
    judge_version: ClassVar[str] = "1"
    """Version of the recipe; a change of it is a new version, and gives new digests and run ids."""
    judge_epochs: ClassVar[int]
    judge_channels: ClassVar[tuple[int, int]]
    num_features: ClassVar[int]

    @classmethod
    def scaled(cls, stored: Tensor) -> Tensor:
        """Return pictures as stored with values in [-1, 1]."""
        return stored.float() * (2 / cls.num_levels) - 1

    def scorer_sha256(self) -> str:
        """Return the digest of the judge's weights; it is trained here where the cache does not have it."""
        return _judge(type(self))[1]

    def features(self, pictures: Tensor) -> Tensor:
        """Return the judge's features of pictures with values in [-1, 1], (pictures, num_features), on the CPU."""
        import torch

        network, _ = _judge(type(self))
        with torch.no_grad():
            return torch.cat([network(rows) for rows in pictures.float().cpu().split(ROWS_AT_ONCE)])


@functools.lru_cache(maxsize=4)
def _judge(task: type[Judged]) -> tuple[nn.Sequential, str]:
    """Return the judge of a task and the digest of its weights."""
    import torch

    from tasks.sources import arrays

    network, path = _untrained(task), _path(task)
    names = sorted(network.state_dict())
    with _alone(path):
        found = arrays.load(path, names)
        if found is None:
            _train(network, task)
            found = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
            arrays.store(path, found)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})
    digest = hashlib.sha256("".join(f"{name} {arrays.sha256_of(found[name])}\n" for name in names).encode())
    return network.requires_grad_(False).eval(), digest.hexdigest()


def _path(task: type[Judged]) -> Path:
    """Return where the judge is kept; the name holds a digest of all that decides its weights."""
    import torch

    parts = {
        "version": task.judge_version,
        "data": task.original().card().sha256,
        "recipe": [task.judge_epochs, task.judge_channels, task.num_features, BATCH_SIZE, LEARNING_RATE],
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return places.cache_dir() / FOLDER / f"{task.original.name}-{key}.npz"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time train and store what several need; without a writable cache each trains for itself."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = (path.parent / f".{path.name}.lock").open("a")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _untrained(task: type[Judged]) -> nn.Sequential:
    """Return the network: three convolutions, the last two of which halve the sizes, and the features."""
    import torch
    from torch import nn

    card = task.original().card()
    first, second = task.judge_channels
    channels, height, width = card.input_shape
    sizes = -(-height // 4) * -(-width // 4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * sizes, task.num_features),
        )


def _train(network: nn.Sequential, task: type[Judged]) -> None:
    """Train the network to tell the classes of the original task's training split apart, under one more layer."""
    import torch
    from torch import nn
    from torch.nn import functional

    train = task.original().load(TRAIN_ONLY)["train"]
    pictures, labels = train.inputs, train.targets
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        classifier = nn.Sequential(network, nn.ReLU(), nn.Linear(task.num_features, int(labels.max()) + 1))
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=LEARNING_RATE)
    steps = task.judge_epochs * -(-len(labels) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would add in another order
    try:
        with torch.enable_grad():
            for _ in range(task.judge_epochs):
                for rows in torch.randperm(len(labels), generator=generator).split(BATCH_SIZE):
                    optimizer.zero_grad()
                    functional.cross_entropy(classifier(task.scaled(pictures[rows])), labels[rows]).backward()
                    optimizer.step()
                    schedule.step()
        _standardize(network, task, pictures)
    finally:
        torch.set_num_threads(threads)


def _standardize(network: nn.Sequential, task: type[Judged], pictures: Tensor) -> None:
    """Give every feature a mean of 0 and a deviation of 1 over the training pictures, so that all weigh the same."""
    import torch

    last = network[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        features = torch.cat([network(task.scaled(rows)) for rows in pictures.split(ROWS_AT_ONCE)]).double()
        mean, std = features.mean(dim=0), features.std(dim=0)
        last.weight.copy_(last.weight / std.unsqueeze(1))
        last.bias.copy_((last.bias - mean) / std)
