"""`pyipam reconcile`: what the plugin holds, compared with what Docker uses; and repaired."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pyipam.cli.comparing import Comparison, compare
from pyipam.cli.difference_report import read_report, report_of
from pyipam.cli.differences import Difference
from pyipam.cli.finding import Which
from pyipam.cli.messages import say
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    read_file,
    reads_plugin,
    surroundings,
)
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.repairs import Outcome, repair
from pyipam.cli.tables import counted, moment, table
from pyipam.files import replace_file

_DIFFERENCES_FOUND = 3
_HEADINGS = ("DIFFERENCE", "POOL", "ADDRESS", "SURE", "WHY")


@click.command("reconcile", epilog="Example: sudo pyipam reconcile --report leaks.json")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what was found to FILE, for --apply.",
)
@click.option(
    "--apply",
    "applied",
    metavar="REPORT",
    help="Repair the differences in REPORT that still exist; - is standard input.",
)
@reads_plugin
@prints_json
def reconcile_command(report: Path | None, applied: str | None, which: Which, as_json: bool) -> int:
    """Find where the plugin and Docker disagree, and repair it.

    What the plugin holds and Docker does not use has leaked. What Docker uses is missing if the
    plugin does not hold it, and unclaimed if the plugin takes it for leaked. The exit code is 3 if
    there are such differences, or, with --apply, if one of the report is left as it was.
    """
    if report is not None and applied is not None:
        raise click.UsageError("make a report, or apply one: --report or --apply")
    found = found_plugin(which)
    if found.engine is None or found.plugin is None:
        raise CommandRefused(
            "reconcile asks Docker what it uses: run it on the host, without --socket and --url"
        )
    plugin_id = found.plugin.id
    reported = None if applied is None else read_report(read_file(applied), applied, plugin_id)
    seconds = surroundings().seconds_to_settle
    comparison = compare(found.client, found.engine, found.plugin, seconds)
    if reported is not None:
        outcomes = list(repair(found.client, reported, comparison))
        show = _print_outcomes_as_json if as_json else _print_outcomes
        show(outcomes)
        return _DIFFERENCES_FOUND if any(each.outcome == "left" for each in outcomes) else 0
    content = report_of(comparison, plugin_id, time.time())
    if report is not None:
        _write(report, content)
    if as_json:
        print_json(content)
    else:
        _print(comparison)
        if any(each.sure for each in comparison.differences):
            say(_how_to_repair(report))
    return _DIFFERENCES_FOUND if comparison.differences else 0


def _print_outcomes_as_json(outcomes: Sequence[Outcome]) -> None:
    print_json([asdict(each) for each in outcomes])


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    if outcomes:
        rows = ((x.kind, x.pool, x.address or None, x.outcome, x.why) for x in outcomes)
        click.echo(table(("DIFFERENCE", "POOL", "ADDRESS", "OUTCOME", "WHY"), rows))
    else:
        click.echo("the report has no differences")


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        replace_file(path, [(json.dumps(content, indent=2) + "\n").encode()])
    except OSError as error:
        raise CommandRefused(f"{path} cannot be written: {error.strerror or error}") from None


def _print(comparison: Comparison) -> None:
    differences = comparison.differences
    if differences:
        click.echo(table(_HEADINGS, map(_row, differences)))
    else:
        click.echo("no differences" + (" so far" if comparison.unsettled else ""))
    if comparison.unsettled:
        say(_about_unsettled(comparison, time.time()))


def _how_to_repair(report: Path | None) -> str:
    if report is None:
        return (
            "nothing was changed: write a report with `pyipam reconcile --report FILE`, and repair "
            "what is in it with `pyipam reconcile --apply FILE`"
        )
    return f"nothing was changed: `pyipam reconcile --apply {shlex.quote(str(report))}` repairs it"


def _about_unsettled(comparison: Comparison, now: float) -> str:
    what = counted(comparison.unsettled, "pool or address", "pools and addresses")
    if comparison.latest > now:
        return (
            f"{what} cannot be judged yet, because the clock was set back: the latest was given "
            f"out at {moment(comparison.latest)}, which is still to come; ask again two minutes "
            "later"
        )
    return f"{what} given out within the last two minutes cannot be judged yet: ask again then"


def _row(difference: Difference) -> tuple[object, ...]:
    return (
        difference.kind,
        difference.pool,
        difference.address or None,
        "yes" if difference.sure else "no",
        difference.why,
    )
