"""JSON out of a file: one object, in which no key is there twice."""

import json
from typing import Any

from lstm_jax.terminal import printable
from parity.files.bounds import DamagedError


def parse_json(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object in a text.

    Args:
        text: The bytes.
        what: What the text is, for errors.

    Raises:
        DamagedError: If it is no JSON object, or has a key twice.
    """
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise DamagedError(f"its {what} is nested too deep") from None
    except DamagedError:
        raise
    except ValueError as error:
        raise DamagedError(f"its {what} is no JSON ({printable(error, 80)})") from None
    if not isinstance(found, dict):
        raise DamagedError(f"its {what} is no JSON object")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DamagedError(f"it has the name {printable(name)!r} twice")
        found[name] = value
    return found
