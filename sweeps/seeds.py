"""Counter-based randomness: a seed is a hash of the study's seed and names, never of what ran before it."""

import hashlib

NUM_SEEDS = 2**32
"""Seeds lie below this: NumPy's generators and a run's seed take 32 bits."""


def derive(base: int, *names: str | int) -> int:
    """Return a 32-bit seed for ``names`` under ``base``, such as ``derive(0, "my-study", "sampler", number)``."""
    text = "/".join(str(part) for part in (base, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % NUM_SEEDS
