"""Why a list is empty: which value of a filter nothing has, and which one may have been meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from pyipam.cli.client import Client
from pyipam.cli.finding import Found
from pyipam.cli.messages import say
from pyipam.cli.names import DockerNames
from pyipam.errors import listed
from pyipam.plan.tag_filter import parse_tag_filter

# So many values are listed where none is near.
_MOST_LISTED = 8


def say_why(
    found: Found, wanted: Mapping[str, str | None], names: DockerNames | None = None
) -> None:
    """Say why nothing matches these filters; nothing, if there are none. Raises CommandRefused."""
    given = {key: value for key, value in wanted.items() if value is not None}
    if not given:
        return
    reasons = list(_reasons(found, given, names))
    asked = ", ".join(f"{key}={value}" for key, value in given.items())
    say(f"nothing matches {asked}" + (f": {'; '.join(reasons)}" if reasons else ""))


def unknown_in(client: Client, tags: str, node: str) -> str:
    """What of a tag filter and the name of a node, where they are not empty, the plan does not
    have, in half a sentence; empty if it has all of it. Raises CommandRefused."""
    reasons = []
    wanted = parse_tag_filter(tags, "tags")
    known = _known(client, "tag", None) if wanted is not None else None
    if wanted is not None and known is not None:
        reasons += [_unknown("tag", tag, known) for tag in sorted(wanted.tags - known)]
    if node:
        nodes = _known(client, "node", None) or set()
        if node not in nodes:
            reasons.append(_unknown("node", node, nodes))
    return "; ".join(reasons)


def _unknown(key: str, value: str, known: Iterable[str]) -> str:
    return f"{_NOBODY[key]} {value!r}{_instead(value, known)}"


def _reasons(found: Found, given: Mapping[str, str], names: DockerNames | None) -> Iterator[str]:
    for key, value in given.items():
        if key in ("network", "container") and found.engine is None:
            yield f"Docker was not asked, and pyipam record has named no {key} {value!r}"
            continue
        if key == "node" and not found.client.get("status")["node"]:
            yield "this host shares its plan with no other"
            continue
        known = _known(found.client, key, names)
        if known is not None and value not in known:
            yield _unknown(key, value, known)


_NOBODY = {
    "tag": "no scope has the tag",
    "scope": "the schema has no scope",
    "id": "no pool has the id",
    "pool": "no pool has the id",
    "label": "no pool has the label",
    "node": "no node that shares the plan is called",
    "network": "no network that uses the plugin is called",
    "container": "no container in such a network is called",
}


def _known(client: Client, key: str, names: DockerNames | None) -> set[str] | None:
    """The values that a filter can have; None where any may be right."""
    if key == "tag":
        return {tag for scope in client.items("scopes") for tag in scope["tags"]}
    if key == "scope":
        return {scope["network"] for scope in client.items("scopes")}
    if key in ("id", "pool"):
        return {pool["id"] for pool in client.items("pools", everywhere="true")}
    if key == "label":
        return {pool["label"] for pool in client.items("pools", everywhere="true")} - {""}
    if key == "node":
        return {node["node"] for node in client.items_at_once("nodes")}
    if key == "network" and names is not None:
        return names.all_networks
    if key == "container" and names is not None:
        return names.all_containers
    return None


def _instead(value: str, known: Iterable[str]) -> str:
    near = get_close_matches(value, known, 1)
    if near:
        return f"; did you mean {near[0]}?"
    some = sorted(known)
    if not some:
        return "; there is none"
    return f"; there is {listed(some, _MOST_LISTED)}"
