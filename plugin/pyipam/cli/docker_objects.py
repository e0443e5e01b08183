"""The objects of Docker's API, as every command reads them.

Go writes null for a map or a list that was never made, and for a pointer to nothing: Containers,
IPAM.Config, Options, Labels. Here such a member is left out, so that it is asked for in one way.
"""

from __future__ import annotations

from typing import Any

from pyipam.cli.refusal import EngineAway


class DockerObject(dict[str, Any]):
    """An object of Docker's API. A member that is missing is named."""

    def __missing__(self, name: str) -> Any:
        raise EngineAway(
            f"the Docker engine's answer has no {name!r}, which every engine sends; try again, and "
            "if that does not help, look into its log"
        )


def without_nulls(answer: Any) -> Any:
    """An answer of the engine without the members and the elements that are null."""
    if isinstance(answer, dict):
        members = answer.items()
        return DockerObject((key, without_nulls(x)) for key, x in members if x is not None)
    if isinstance(answer, list):
        return [without_nulls(element) for element in answer if element is not None]
    return answer
