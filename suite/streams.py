"""Streams of random numbers that stay the same for ever: what frozen data is drawn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 2**15
"""Raw words made at a time: what is worked on stays in the processor's cache, five times faster than all at once."""


class Stream:
    """An endless stream of random numbers with a name, the same for ever and on every machine.

    Only the raw words of numpy's counter-based Philox are used: numpy promises that a bit generator's stream stays as
    it is, and promises nothing about the methods of Generator (NEP 19). Each number comes from 32 bits of its own.

    Args:
        names: What the stream is for, such as task, version, split and purpose.
    """

    def __init__(self, *names: str | int) -> None:
        import numpy as np

        text = "/".join(("boltbench", *map(str, names)))
        key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
        self._words = np.random.Philox(key=key)

    def bits(self, *shape: int) -> NDArray[np.uint32]:
        """Return uniform 32-bit integers."""
        import numpy as np

        return self._fill(shape, np.uint32, lambda halves: halves)

    def below(self, high: int, *shape: int) -> NDArray[np.int64]:
        """Return integers in ``[0, high)``; their frequencies are even to within ``high / 2**32``."""
        import numpy as np

        assert 1 <= high < 2**16, "beyond, the bias would not be negligible"
        return self._fill(shape, np.int64, lambda halves: (halves.astype(np.uint64) * np.uint64(high)) >> np.uint64(32))

    def uniform(self, *shape: int) -> NDArray[np.float32]:
        """Return multiples of ``2**-24`` in ``[0, 1)``, all exact in float32."""
        import numpy as np

        return self._fill(shape, np.float32, lambda halves: (halves >> np.uint32(8)) * np.float32(2**-24))

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Return standard normal numbers, rounded to multiples of ``2**-12``; none is beyond 5.8.

        Logarithm and cosine differ in their last bits between machines; after the rounding nothing is left of that.
        """
        import numpy as np

        filled = np.empty(shape, dtype=np.float32)
        flat = filled.reshape(-1)
        for start in range(0, flat.size, CHUNK):
            piece = flat[start : start + CHUNK]
            radius, angle = self.uniform(2, piece.size).astype(np.float64)
            # Box and Muller, 1958; 1 - u lies in (0, 1], where the logarithm is finite.
            exact = np.sqrt(-2 * np.log(1 - radius)) * np.cos(2 * np.pi * angle)
            piece[...] = np.round(exact * 2**12) / 2**12
        return filled

    def _fill(self, shape: tuple[int, ...], dtype: Any, transform: Callable[[Any], Any]) -> NDArray[Any]:
        import numpy as np

        filled = np.empty(shape, dtype=dtype)
        flat = filled.reshape(-1)
        for start in range(0, flat.size, 2 * CHUNK):
            piece = flat[start : start + 2 * CHUNK]
            words = np.asarray(self._words.random_raw((piece.size + 1) // 2))
            halves = words.astype("<u8", copy=False).view("<u4")[: piece.size]  # the lower half first, everywhere
            piece[...] = transform(halves)
        return filled
