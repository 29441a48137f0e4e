"""The seal of a result: a sha256 over all that stands before it in the file, so that a later edit does not go unseen.

result.json vouches for the other files of a run, and the seal for result.json. It guards against damage and against
edits by hand; who means to deceive can compute a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from results.errors import RecordError

SEAL: Final = "record_sha256"

_BEFORE: Final = f',\n "{SEAL}": "'.encode()
_AFTER: Final = b'"\n}\n'


def sealed(record: Mapping[str, Any]) -> str:
    """Return a record as strict JSON text whose last field is its seal."""
    assert record and SEAL not in record
    body = json.dumps(record, indent=1, allow_nan=False).removesuffix("\n}").encode()
    return (body + _BEFORE + hashlib.sha256(body).hexdigest().encode() + _AFTER).decode()


def check_seal(content: bytes, record: Mapping[str, Any], where: str) -> None:
    """Raise `RecordError` when ``content``, which decodes to ``record``, is not what was sealed.

    A record without a seal passes: it was written before there were seals.
    """
    seal = record.get(SEAL)
    if seal is None and SEAL not in record:
        return
    # The bytes are hashed and not the values: writing 10,000 records anew to hash them takes a second.
    body, _, end = content.rpartition(_BEFORE)
    found = hashlib.sha256(body).hexdigest()
    if end != found.encode() + _AFTER:
        raise RecordError(
            f"{where} must be as it was written, but its sha256 is {found} where it says {seal}: it was changed later. "
            "Bring the file back from a copy, or make the run anew with `boltbench run --force`."
        )


def digest_of_sealed(content: bytes) -> str | None:
    """Return the sha256 of a record's whole content, or None where it carries no seal or another one than it must."""
    body, _, end = content.rpartition(_BEFORE)
    hashed = hashlib.sha256(body)
    if end != hashed.hexdigest().encode() + _AFTER:
        return None
    hashed.update(content[len(body) :])
    return hashed.hexdigest()
