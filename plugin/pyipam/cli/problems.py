"""What a status says that is not well. `make install` reads it, too, in any Python."""

from __future__ import annotations

from collections.abc import Iterator

from pyipam.cli.client import Answer


def refusing_new_networks(status: Answer) -> Iterator[str]:
    """What keeps new networks from getting a subnet, a sentence each."""
    schema, settings = status["schema"], status["settings"]
    if status["failure"]:
        yield str(status["failure"])
    for error in settings["errors"]:
        yield str(error)
    for error in schema["errors"]:
        yield f"schema at {error}"
    if schema["new_pools_refused"] and not (
        status["failure"] or schema["errors"] or settings["errors"]
    ):
        yield "new pools are refused"


def problems_in(status: Answer) -> Iterator[str]:
    """What keeps the plugin from its work, a sentence each."""
    yield from refusing_new_networks(status)
    if status["routes"]["failure"]:
        yield f"the routes of the host are not known: {status['routes']['failure']}"
