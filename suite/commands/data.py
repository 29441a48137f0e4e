"""Lists data sets, fetches those that need a download, and checks what is here against its checksum."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from suite.console import complain, say
from suite.errors import DataMissingError, UserError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=["list", "fetch", "check"])
    parser.add_argument("task", nargs="*", help="tasks (default: all, for list and check)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a Python file with more tasks")


def main(arguments: Namespace) -> int:
    """Do it, task by task; a damaged or unreachable data set makes the exit code 1."""
    from suite.commands.shared import load_plugins
    from suite.task import TASKS, TRAIN_ONLY

    load_plugins(arguments.plugin)
    if arguments.action == "fetch" and not arguments.task:
        raise UserError("`boltbench data fetch` needs the names of tasks, so that nothing is downloaded unasked.")
    tasks = {name: TASKS.get(name)() for name in arguments.task or TASKS.names()}
    if arguments.action == "fetch":
        for task in tasks.values():
            say(task.fetch())
        return 0
    failed = False
    for name, task in tasks.items():
        try:
            if arguments.action == "list":
                task.load(TRAIN_ONLY)
                card = task.card()
                say(f"{name:<24} here     {sum(card.split_sizes.values())} examples, {card.licence}")
            else:
                say(f"{name:<24} intact   sha256 {task.check_data()[:16]}...")
        except DataMissingError as error:
            say(f"{name:<24} missing  {error}")
        except UserError as error:
            failed = True
            complain(f"{name:<24} damaged  {error}")
    return int(failed)
