"""`pyipam status`: whether everything is well."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import click

from pyipam.cli.client import Answer
from pyipam.cli.comparing import compare
from pyipam.cli.differences import Difference, counted_by_kind
from pyipam.cli.finding import Found, Which
from pyipam.cli.messages import say
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
    surroundings,
)
from pyipam.cli.refusal import EngineAway
from pyipam.cli.tables import counted, moment, plain

_NOT_WELL = 1
_LABEL_WIDTH = 11
_WAY_OUT = "see `pyipam reconcile`"
# Pools and leases. Docker is asked about each network, and that takes a while where there are many.
_MOST_COMPARED = 500
_MOST_REFUSALS = 3


@click.command("status", epilog="Example: sudo pyipam status")
@reads_plugin
@prints_json
@prints_quietly("Print nothing: the exit code says it.")
def status_command(which: Which, as_json: bool, quiet: bool) -> int:
    """Say whether everything is well, and what is not.

    The exit code is 1 if something is not well.
    """
    found = found_plugin(which)
    status = found.client.get("status")
    differences = _differences(found, status)
    problems = [problem["message"] for problem in status["problems"]]
    # What leaked harms nobody, and is given out again in the end.
    harmful = [each for each in differences if not each.kind.startswith("leaked")]
    if harmful:
        problems.append(f"Docker and the plugin disagree: {counted_by_kind(harmful)}; {_WAY_OUT}")
    if as_json:
        print_json(status | {"differences": [difference.summary for difference in differences]})
    elif not quiet:
        for label, text in _lines(found, status, problems, differences):
            click.echo(f"{label:{_LABEL_WIDTH}} {plain(text)}")
    return _NOT_WELL if problems else 0


def _differences(found: Found, status: Answer) -> list[Difference]:
    """Where the plugin surely differs from Docker; nothing where no engine can be asked, or so much
    is held that it would take a while."""
    held = status["counts"]["pools"] + status["counts"]["leases"]
    can_be_asked = status["failure"] is None and held <= _MOST_COMPARED
    if found.engine is None or found.plugin is None or not can_be_asked:
        return []
    seconds = surroundings().seconds_to_settle
    try:
        compared = compare(found.client, found.engine, found.plugin, seconds)
    except EngineAway as error:
        say(f"not compared with Docker: {error}")
        return []
    return [difference for difference in compared.differences if difference.sure]


def _lines(
    found: Found, status: Answer, problems: list[str], differences: list[Difference]
) -> Iterator[tuple[str, str]]:
    name = found.plugin.name if found.plugin is not None else found.client.source.name
    yield "plugin", f"{name}, version {status['version']}, since {moment(status['started'])}"
    yield "well", "yes" if not problems else f"no: {problems[0]}"
    for problem in problems[1:]:
        yield "", problem
    schema, settings = status["schema"], status["settings"]
    effect = ", new pools are refused" if schema["new_pools_refused"] else ""
    yield "schema", f"{schema['source_in_words']}{effect}"
    aliases = ", ".join(settings["aliases"]) or "none"
    yield "settings", f"default tags {settings['default_tags'] or 'none'}; short names {aliases}"
    node = f", node {status['node']}" if status["node"] else ""
    yield "store", f"{status['store']}{node}"
    yield from _about_claims(status)
    counts = status["counts"]
    yield "pools", _counted(counts, "pools", "resting", "unclaimed")
    yield "leases", _counted(counts, "leases", "resting", "held_back", "unclaimed")
    if differences:
        yield "docker", f"{counted_by_kind(differences)}; {_WAY_OUT}"
    full = ", ".join(
        f"{each['network']} ({each['used_percent']} %)" for each in status["full_scopes"]
    )
    yield "over 80 %", full or "no scope"
    latest = _latest_refusals(status["refusals"])
    yield "refusals", _about_refusals(status["refused"])
    for refusal in latest:
        yield "", f"{moment(refusal['time'])} {refusal['call']}: {refusal['message']}"
    remarks = [remark["message"] for remark in status["remarks"]]
    yield "warnings", remarks[0] if remarks else "none"
    for remark in remarks[1:]:
        yield "", remark


def _about_claims(status: Answer) -> Iterator[tuple[str, str]]:
    """What the node has claimed, if it has; a plugin of an older version does not tell."""
    found = status.get("aggregates") or {}
    if any(found.values()):
        outside = counted(found["strays"], "pool")
        yield "claims", f"{found['total']} in all, {found['resting']} resting, {outside} outside"


def _counted(counts: Answer, what: str, *kinds: str) -> str:
    parts = (f"{counts[f'{kind}_{what}']} {kind.replace('_', ' ')}" for kind in kinds)
    return ", ".join((f"{counts[what]} in all", *parts))


def _about_refusals(count: int) -> str:
    return (
        f"{count} since the plugin started, the latest:"
        if count
        else "none since the plugin started"
    )


def _latest_refusals(refusals: list[Any]) -> list[Any]:
    """The latest few, newest first: of those that say the same, as a swarm tries again and again,
    only the last one."""
    by_text = {
        (refusal["call"], refusal["message"]): refusal
        for refusal in sorted(refusals, key=itemgetter("time"))
    }
    return sorted(by_text.values(), key=itemgetter("time"), reverse=True)[:_MOST_REFUSALS]
