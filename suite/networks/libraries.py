"""How models of other libraries are built: off the network, without a word, and with errors in the user's terms."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def at_home() -> Iterator[None]:
    """Keep the hub's library off the network, and the bars and remarks of all libraries off the terminal."""
    from huggingface_hub import constants

    was_offline, was_disabled = constants.HF_HUB_OFFLINE, logging.root.manager.disable
    constants.HF_HUB_OFFLINE = True
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(was_disabled)
        constants.HF_HUB_OFFLINE = was_offline


def first_line(error: Exception) -> str:
    """Return what a library says of an error, short of its explanations."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
