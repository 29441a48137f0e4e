"""The mistakes that no generator thinks of, written down by hand."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.fuzz.mistakes import CONFIG, PAIR, Mistake, config, flags, plan

SOUND = "task: digits\nfamily: mlp\n"
BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
    "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n"
    "g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g]\n"
)
"""Nine to the power of eight when it is written out; a few references in memory."""


def commands() -> Iterator[Mistake]:
    """Yield wrong verbs and wrong arguments of every verb."""
    for verb in ("rum", "RUN", "run ", "", "--run", "-x", "help", "train", "ls", "跑", "a" * 2000, "--", "--versio"):
        yield Mistake((verb,), ("verb",))
    for verb in ("list", "show", "resume", "replay", "leaderboard", "ui", "data", "doctor", "run"):
        yield Mistake((verb, "--nonsense"), ())
        yield Mistake((verb, "--root"), ("--root",))
    yield from (
        Mistake(("list", "things"), ("'things'",)),
        Mistake(("list", "tasks", "families"), ("families",)),
        Mistake(("list", "tasks", "--plugin"), ("--plugin",)),
        Mistake(("list", "--plugin", "absent.py"), ("absent.py",)),
        Mistake(("list", "--plugin", "."), ("--plugin",)),
        Mistake(("show",), ("name",)),
        Mistake(("show", "cnnn"), ("'cnnn'", "'cnn'")),
        Mistake(("show", ""), ("''",)),
        Mistake(("show", "mlp", "cnn"), ("mlp",)),
        Mistake(("resume",), ("runs",)),
        Mistake(("resume", "some-run"), ("some-run",)),
        Mistake(("replay",), ("run",)),
        Mistake(("replay", "no-such-run"), ("'no-such-run'",)),
        Mistake(("replay", ""), ("''",)),
        Mistake(("replay", "a", "b"), ("b",)),
        Mistake(("leaderboard",), ("runs",)),
        Mistake(("leaderboard", "--format", "pdf"), ("'pdf'",)),
        Mistake(("leaderboard", "--format", ""), ("--format",)),
        Mistake(("leaderboard", "--format", "csv,,markdown"), ("--format",)),
        Mistake(("leaderboard", "--format"), ("--format",)),
        Mistake(("leaderboard", "--task", "digits"), ("runs",)),
        Mistake(("ui", "--port", "-1"), ("port=-1",)),
        Mistake(("ui", "--port", "65536"), ("port=65536",)),
        Mistake(("ui", "--port", "http"), ("'http'",)),
        Mistake(("ui", "--port", "8.5"), ("'8.5'",)),
        Mistake(("ui",), ("mlflow",)),
        Mistake(("data",), ("action",)),
        Mistake(("data", "steal"), ("'steal'",)),
        Mistake(("data", "fetch"), ("tasks",)),
        Mistake(("data", "fetch", "digit"), ("'digit'", "'digits'")),
        Mistake(("data", "check", "nothing-such"), ("'nothing-such'",)),
        Mistake(("doctor", "now"), ("now",)),
    )


def arguments() -> Iterator[Mistake]:
    """Yield wrong arguments of `boltbench run`."""
    yield from (
        Mistake(("run",), ("task and a family",)),
        Mistake(("run", "--seeds", "0"), ("task and a family",)),
        Mistake((*PAIR, "cnn"), ("cnn",)),
        flags("--force=yes", named=("--force",)),
        flags("--budget", "3", named=("--budget",)),
        flags("--budget.", "3", named=("--budget.",)),
        flags("--.epochs", "3", named=("--.epochs",)),
        flags("--budget.epochs", named=("--budget.epochs", "value")),
        flags("--budget.epochs", "--data.batch_size", "8", named=("--budget.epochs", "value")),
        flags("--budget.epochs", "--force", named=("--budget.epochs", "value")),
        flags("--budget.epochs", "1", "--budget.epochs", "2", named=("--budget.epochs", "once")),
        flags("--budget.epochs=1", "--budget.epochs=1", named=("--budget.epochs", "once")),
        flags("--budget.epochs", "1", "2", named=("2",)),
        flags("-budget.epochs", "1", named=("-budget.epochs",)),
        flags("--seed", "3", named=("--seed",)),
        flags("--seeds", named=("--seeds",)),
        flags("--family.channels", "8", named=("--family.channels",)),
        flags("--family.name", "cnn", named=("--family.name",)),
        flags("--task.name", "mnist1d", named=("--task.name",)),
        flags("--\uff42udget.epochs", "1", named=("Unknown",)),
        flags("--budget.epochs\u200b", "1", named=("Unknown",)),
        flags("--optimization.lr", "1e-3e", named=("optimization.lr", "'1e-3e'")),
        flags("--optimization.lr", "9" * 5000, named=("optimization.lr",)),
        flags("--family.width", "9" * 5000, named=("family.width",)),
        flags("--family.width", "1000000000000", named=("larger than",)),
        flags("--family.width", str(2**53 - 1), named=("larger than",)),
        flags("--family.width", str(2**53), named=("family.width",)),
        flags("--budget.epochs", "9" * 400, named=("budget.epochs",)),
        flags("--family.width", "x" * 100_000, named=("family.width",)),
        flags("--execution.device", "cuda:99", named=("execution.device", "'cuda:99'")),
        flags("--execution.device", "tpu", named=("execution.device", "'tpu'")),
        flags("--execution.device", "mps", named=("execution.device", "'mps'")),
        flags("--plan", "quick", named=("--plan",)),
        Mistake(("run", "--plan", "quick", "--config", CONFIG), ("--plan",), ((CONFIG, SOUND.encode()),)),
        Mistake(("run", "--plan", "quik"), ("'quik'", "'quick'")),
        Mistake(("run", "--plan", "absent.yaml"), ("absent.yaml",)),
        Mistake(("run", "--plan", ""), ("''",)),
        Mistake(("run", "--plan", "."), ("'.'",)),
        Mistake(("run", "--plan", "quick", "--family.width", "8"), ("--family.width",)),
        Mistake(("run", "--plan", "quick", "--seeds", "x"), ("--seeds",)),
        Mistake(("run", "--plan", "quick", "--budget.epochs", "0"), ("budget.epochs=0",)),
        Mistake(("run", "--config", "absent.yaml"), ("absent.yaml",)),
        Mistake(("run", "--config", "."), ("'.'",)),
        flags("--plugin", "absent.py", named=("absent.py",)),
        Mistake((*PAIR, "--root", CONFIG), (CONFIG,), ((CONFIG, b"a file"),)),
    )


def conflicts() -> Iterator[Mistake]:
    """Yield settings of which each is sound, and which do not go together."""
    yield from (
        Mistake(
            ("run", "digits", "cnn", "--family.preset", "lenet-5", "--family.channels", "8"), ("preset", "channels")
        ),
        Mistake(("run", "digits", "cnn", "--family.preset", "mnist1d", "--family.stride", "3"), ("preset", "stride")),
        Mistake(("run", "digits", "cnn", "--family.preset", "mnist1d", "--family.stride", "1"), ("preset", "stride")),
        Mistake(
            ("run", "digits", "resnet", "--family.preset", "resnet-20", "--family.blocks", "1"), ("preset", "blocks")
        ),
        Mistake(("run", "digits", "cnn", "--family.channels", "8,8,8,8,8"), ("'cnn'", "'digits'", "too small")),
        Mistake(("run", "digits", "cnn", "--family.channels", ""), ("family.channels",)),
        Mistake(("run", "digits", "cnn", "--family.kernel_sizes", "3,3,3"), ("kernel",)),
        Mistake(("run", "digits", "cnn", "--family.kernel_sizes", "9", "--family.paddings", "0"), ("too small",)),
        Mistake(("run", "digits", "linear", "--regularization.dropout", "0.5"), ("regularization.dropout",)),
        flags(
            "--budget.seconds", "1", "--optimization.schedule", "cosine", named=("optimization.schedule", "'cosine'")
        ),
        flags("--budget.seconds", "1", "--optimization.schedule", "one-cycle", named=("'one-cycle'",)),
        flags("--budget.seconds", "1", "--optimization.schedule", "warmup-cosine", named=("'warmup-cosine'",)),
        flags("--data.batch_size", "5000", "--data.drop_last", "true", named=("batch_size=5000",)),
        Mistake(("run", "mnist1d", "mlp", "--task.full_train", "true"), ("evaluation.selection", "val")),
        Mistake(
            (
                *("run", "mnist1d", "mlp", "--task.full_train", "true", "--evaluation.selection", "last"),
                *("--regularization.early_stopping", "3"),
            ),
            ("regularization.early_stopping", "val"),
        ),
        Mistake(
            (
                *("run", "mnist1d", "mlp", "--task.full_train", "true", "--evaluation.selection", "last"),
                *("--optimization.schedule", "reduce-on-plateau"),
            ),
            ("'reduce-on-plateau'", "val"),
        ),
        Mistake(("run", "mnist1d", "mlp", "--task.full_train", "maybe"), ("task.full_train", "'maybe'")),
        Mistake(("run", "image-folder", "cnn"), ("--task.folder",)),
        Mistake(("run", "image-folder", "cnn", "--task.folder", "absent"), ("absent",)),
        Mistake(("run", "image-folder", "cnn", "--task.folder", "."), ("at least 2 classes",)),
        Mistake(("run", "mnist", "mlp"), ("mnist", "boltbench data fetch mnist")),
        Mistake(("run", "cifar10", "cnn"), ("cifar10", "boltbench data fetch cifar10")),
    )


def misfits() -> Iterator[Mistake]:
    """Yield families that cannot take a task on, and lengths that cannot be."""
    yield from (
        Mistake(("run", "digits", "gan"), ("'gan'", "'digits'", "generation")),
        Mistake(("run", "ring", "cnn"), ("'cnn'", "'ring'", "generation")),
        Mistake(("run", "digits", "vae"), ("'vae'", "'digits'")),
        Mistake(("run", "adding", "autoencoder"), ("'autoencoder'", "'adding'")),
        Mistake(("run", "linear-gaussian", "cnn"), ("'cnn'", "'linear-gaussian'", "signal")),
        Mistake(("run", "parity", "linear"), ("'linear'", "'parity'", "one length")),
        Mistake(("run", "copy-memory", "mlp"), ("'mlp'", "'copy-memory'", "earlier positions")),
        Mistake(("run", "copy-memory", "rnn", "--family.bidirectional", "true"), ("'rnn'", "backwards")),
        Mistake(("run", "shakespeare-char", "cnn"), ("'cnn'", "'shakespeare-char'")),
        Mistake(("run", "mnist1d", "transformer", "--family.patch_size", "3"), ("'transformer'", "patches of 3")),
        Mistake(("run", "mnist1d", "cnn", "--family.kernel_sizes", "99", "--family.paddings", "0"), ("too small",)),
        Mistake(("run", "adding", "rnn", "--task.length", "1"), ("`2 <= length", "task.length=1")),
        Mistake(("run", "copy-memory", "rnn", "--task.length", "0"), ("`1 <= length", "task.length=0")),
        Mistake(("run", "induction", "rnn", "--task.length", "2"), ("`3 <= length", "task.length=2")),
        Mistake(("run", "shakespeare-char", "rnn", "--task.block_length", "0"), ("task.block_length=0",)),
        Mistake(
            ("run", "listops", "rnn", "--task.min_length", "50", "--task.max_length", "20"),
            ("`task.min_length <= task.max_length` must hold", "50", "20"),
        ),
        Mistake(
            ("run", "parity", "rnn", "--task.train_length", "500"), ("`task.train_length < task.test_length`", "500")
        ),
        Mistake(("run", "linear-gaussian", "linear", "--task.num_latents", "20"), ("`num_latents < num_values`", "20")),
        flags("--data.missing_rate", "1", named=("`0 <= missing_rate < 1`", "data.missing_rate=1")),
        flags("--data.missing_rate", "0.5", "--data.missing_strategy", "drop", named=("must leave training examples",)),
        Mistake(("run", "parity", "rnn", "--data.missing_rate", "0.5"), ("'parity'", "tokens")),
    )


def pictures() -> Iterator[Mistake]:
    """Yield folders of pictures that make no task."""
    sound = {f"pictures/{name}/{number}.png": _png(number) for name in ("cat", "dog") for number in range(8)}
    words = ("run", "image-folder", "linear", "--task.folder", "pictures", "--task.image_size", "4")
    nan = io.BytesIO()
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(nan, format="TIFF")
    for files, *named in (
        ({"pictures/bird/.hidden": b""}, "at least 7 images", "bird (0)"),
        ({"pictures/bird/0.png": _png(0)}, "at least 7 images", "bird (1)"),
        ({"pictures/stray.png": _png(0)}, "task.labels=folders", "stray.png"),
        ({"pictures/cat/nan.tiff": nan.getvalue()}, "cat/nan.tiff", "mode F"),
        ({"pictures/cat/3.png": b""}, "cat/3.png"),
        ({"pictures/dog/5.png": _png(5)[:40]}, "dog/5.png"),
        ({"pictures/dog/notes.txt": b"not a picture"}, "dog/notes.txt"),
    ):
        assert isinstance(files, dict)
        yield Mistake(words, tuple(map(str, named)), tuple({**sound, **files}.items()))


def _png(level: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (5, 5), (20 * level, 9, 9)).save(content, format="PNG")
    return content.getvalue()


def files() -> Iterator[Mistake]:
    """Yield configuration files that hold no spec."""
    yield from (
        config("", CONFIG),
        config("~", CONFIG),
        config("3", CONFIG),
        config("- task: digits", CONFIG),
        config("just words", CONFIG),
        config("task: [", CONFIG),
        config("task: digits\n\tfamily: mlp\n", CONFIG),
        config("{" * 5000, CONFIG),
        config("[" * 5000 + "]" * 5000, CONFIG),
        config(b"\xff\xfe\x00", CONFIG),
        config(b"task: \x00", CONFIG),
        config(b"\x89PNG\r\n", CONFIG),
        config("task: !!python/object/apply:os.system ['true']\nfamily: mlp\n", CONFIG),
        config("task: *nowhere\n", CONFIG),
        config("--- \ntask: digits\n---\nfamily: mlp\n", CONFIG),
        config("? [a, b]\n: 1\n", CONFIG),
        config("task: digits\ntask: mnist1d\nfamily: mlp\n", CONFIG, "task"),
        config(f"{SOUND}budget: {{epochs: 1, epochs: 2}}\n", CONFIG, "epochs"),
        config(f"{SOUND}budget: {{epochs: 2020-99-99}}\n", CONFIG),
        config(f"{SOUND}budget: {{epochs: {'9' * 5000}}}\n", CONFIG),
        config(f"{SOUND}budget: {{epochs: 0o9}}\n", "budget.epochs"),
        config("a: b: c", CONFIG),
        config(SOUND + BOMB, "'a'"),
        config("[" + BOMB.splitlines()[0].removeprefix("a: ") + ", *a]", CONFIG),
        config(f"{SOUND}budget: &x {{epochs: 1, again: *x}}\n", "budget.again"),
        config(f"{SOUND}budget: {{epochs: &x [*x]}}\n", "budget.epochs"),
        config(f"{SOUND}x-defaults: 1\n", "x-defaults"),
        config(f"{SOUND}Budget: {{epochs: 1}}\n", "Budget", "budget"),
        config(f"{SOUND}1: 2\n", "1"),
        config(f"{SOUND}~: 2\n", "None"),
        config(f"{SOUND}true: 2\n", "True"),
        config(f"{SOUND}budget: 3\n", "budget"),
        config(f"{SOUND}budget: [epochs, 3]\n", "budget"),
        config(f"{SOUND}budget: {{1: 2}}\n", "budget.1"),
        config(f"{SOUND}budget: {{~: 2}}\n", "budget.None"),
        config(f"{SOUND}execution: 3\n", "execution"),
        config(f"{SOUND}execution: {{device: 3}}\n", "execution.device"),
        config(f"{SOUND}execution: [cpu]\n", "execution"),
        config("task: digits\n", "family"),
        config("family: mlp\n", "task"),
        config("task: 3\nfamily: mlp\n", "task"),
        config("task: [digits]\nfamily: mlp\n", "task"),
        config("task: {size: 3}\nfamily: mlp\n", "task"),
        config("task: {name: 3}\nfamily: mlp\n", "task"),
        config("task: {name: digits, size: 3}\nfamily: mlp\n", "task.size"),
        config("task: digits\nfamily: {name: mlp, width: 1, depth: 2}\n", "family.depth"),
        config("task: digits\nfamily: {width: 3}\n", "family"),
        config("task: digits\nfamily: {name: [mlp]}\n", "family"),
        config("task: digits\nfamily: {name: cnn, channels: {a: 1}}\n", "family.channels"),
        config("task: digits\nfamily: {name: cnn, channels: [8, [8]]}\n", "family.channels[1]"),
        config("task: digits\nfamily: {name: cnn, channels: [8, ~]}\n", "family.channels[1]"),
        config("task: digits\nfamily: {name: cnn, channels: [8, 0]}\n", "family.channels"),
        config("task: digits\nfamily: mlp\nregularization: {dropout: 1}\n", "regularization.dropout"),
    )


def plans() -> Iterator[Mistake]:
    """Yield plan files that hold no plan."""
    yield from (
        plan("", "plan.yaml"),
        plan("runs: [", "plan.yaml"),
        plan("- tasks: [digits]\n", "runs"),
        plan("description: nothing\n", "runs"),
        plan("runs: []\n", "runs"),
        plan("runs: {tasks: [digits]}\n", "runs"),
        plan("runs: [digits]\n", "runs[0]"),
        plan("run: []\n", "'run'", "'runs'"),
        plan("runs: [{tasks: [digits]}]\n", "families"),
        plan("runs: [{families: [mlp]}]\n", "tasks"),
        plan("runs: [{tasks: [], families: [mlp]}]\n", "tasks"),
        plan("runs: [{tasks: 3, families: [mlp]}]\n", "tasks"),
        plan("runs: [{tasks: [3], families: [mlp]}]\n", "tasks"),
        plan("runs: [{tasks: [digit], families: [mlp]}]\n", "'digit'"),
        plan("runs: [{tasks: [digits], families: [mpl]}]\n", "'mpl'"),
        plan("runs: [{tasks: [digits], families: [{width: 3}]}]\n", "families"),
        plan("runs: [{tasks: [digits], families: [{name: mlp, widht: 3}]}]\n", "family.widht"),
        plan("runs: [{tasks: [digits], families: [mlp], seed: 3}]\n", "'seed'"),
        plan("runs: [{tasks: [digits], families: [mlp], seeds: x}]\n", "x"),
        plan("runs: [{tasks: [digits], families: [mlp], seeds: [true]}]\n", "True"),
        plan("runs: [{tasks: [digits], families: [mlp], seeds: []}]\n", "eeds"),
        plan("runs: [{tasks: [digits], families: [mlp], seeds: 5-1}]\n", "5-1"),
        plan("runs: [{tasks: [digits], families: [mlp], settings: 3}]\n", "settings"),
        plan("runs: [{tasks: [digits], families: [mlp], settings: {budgets: {}}}]\n", "budgets"),
        plan("runs: [{tasks: [digits], families: [mlp], settings: {budget: {epochs: 0}}}]\n", "budget.epochs=0"),
        plan("runs: [{tasks: [digits], families: [mlp], settings: {execution: {device: x}}}]\n", "execution.device"),
        plan("runs: [{tasks: [digits], families: [mlp], settings: {seed: -4}}]\n", "seed"),
        plan("runs: [{tasks: [digits], tasks: [mnist1d], families: [mlp]}]\n", "tasks"),
        plan("runs: [{tasks: [digits], families: [mlp]}, {tasks: [digits], families: [mlp], x: 1}]\n", "runs[1]"),
        plan("runs: [{tasks: [digits], families: [mlp, {name: linear, width: 3}]}]\n", "family.width"),
        plan("description: [1]\nruns: []\n", "runs"),
        plan(BOMB, "'a'"),
    )


def all_written() -> list[Mistake]:
    """Return them all."""
    return [*commands(), *arguments(), *conflicts(), *misfits(), *pictures(), *files(), *plans()]
