"""Names and tags: a tag stands for several cases, or several runners."""

from collections.abc import Iterable, Mapping
from typing import Any


def by_tag(rows: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the rows that each tag stands for, read off their `tags`."""
    found: dict[str, list[str]] = {}
    for name, row in rows.items():
        for tag in row.tags:
            found.setdefault(tag, []).append(name)
    return found


def asked_for(option: str, asked: Iterable[str], rows: Mapping[str, Any]) -> list[str]:
    """The names that the names and tags of an option stand for, each once.

    Raises:
        ValueError: If there is no row and no tag of a name.
    """
    tags, found = by_tag(rows), {}
    for name in asked:
        if name not in rows and name not in tags:
            raise ValueError(
                f"bench: --{option} {name!r} must be a {option} or a tag: there are "
                f"the {option}s {', '.join(rows)} and the tags {', '.join(tags)}. Use "
                "one of these."
            )
        found |= dict.fromkeys([name] if name in rows else tags[name])
    return list(found)
