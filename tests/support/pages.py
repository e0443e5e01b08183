"""The views of the plugin that come in pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote


def whole(get: Callable[[str], Any], target: str) -> Any:
    """What a view answers; of a list, the items of all its pages."""
    answer = get(target)
    if not isinstance(answer, dict) or answer.keys() != {"items", "next"}:
        return answer
    items: list[Any] = answer["items"]
    separator = "&" if "?" in target else "?"
    while answer["next"] is not None:
        answer = get(f"{target}{separator}after={quote(answer['next'], safe='')}")
        items += answer["items"]
    return items
