"""`pyipam routes`: what this host has to announce, and the service that keeps it announced."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from pyipam.cli.client import Client
from pyipam.cli.completing import complete_nodes, complete_tags
from pyipam.cli.finding import Which
from pyipam.cli.messages import say
from pyipam.cli.nothing_found import unknown_in
from pyipam.cli.options import Number, found_plugin, reads_plugin, surroundings
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.routing.announced import Announced, read_announced
from pyipam.cli.routing.formats import FORMATS, text_of
from pyipam.cli.routing.hook import Hook
from pyipam.cli.routing.kernel import (
    OpenKernel,
    announced_twice,
    check_may_change,
    synchronize,
)
from pyipam.cli.routing.readiness import tell_ready
from pyipam.cli.routing.watching import Target, Watch

_DIFFERENT = 3
_PROTOCOL = 100


@dataclass(frozen=True)
class _Wanted:
    """Which routes are asked for, of which plugin."""

    which: Which
    exact: bool
    tags: str
    node: str
    all_nodes: bool

    def ask(self, client: Client, after: str = "", wait: int = 0) -> Announced:
        """The routes, as soon as they are of another version than `after` or `wait` seconds have
        passed. Raises CommandRefused."""
        answer = client.get(
            "routes",
            exact="true" if self.exact else None,
            tags=self.tags,
            node=self.node,
            everywhere="true" if self.all_nodes else None,
            after=after,
            wait=wait or None,
        )
        return read_announced(answer, client.source.name)

    def doubts(self, client: Client) -> str:
        """What was asked for and the plan does not have, as a message; empty if there is no such
        thing, or the plugin does not say. Nobody is to lack routes because of that."""
        try:
            unknown = unknown_in(client, self.tags, self.node)
        except CommandRefused:
            return ""
        asked = ", ".join(
            f"{key}={value}" for key, value in (("tags", self.tags), ("node", self.node)) if value
        )
        return f"{asked}: {unknown}" if unknown else ""


@dataclass(frozen=True)
class _Keeping:
    """What `--watch` does with the routes."""

    sync: bool
    protocol: int
    command: str
    kept: Path | None
    check: bool


@click.command("routes", epilog="Example: sudo pyipam routes --format frr")
@click.option("--exact", is_flag=True, help="Also the subnet of every network by itself.")
@click.option(
    "--tags",
    default="",
    metavar="TAGS",
    shell_complete=complete_tags,
    help="Only in scopes that this filter selects: ingress+!old.",
)
@click.option(
    "--node",
    default="",
    metavar="NODE",
    shell_complete=complete_nodes,
    help="Those of another host of the plan.",
)
@click.option("--all", "all_nodes", is_flag=True, help="Those of all hosts of the plan.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default=None,
    help="Prefixes (plain), JSON, or what ip -batch, FRR or BIRD reads.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON: the same as --format json.")
@click.option("--check", is_flag=True, help="Warn of prefixes that another host announces too.")
@click.option(
    "--watch", is_flag=True, help="Keep it announced until stopped: with the options that follow."
)
@click.option("--sync", type=click.Choice(["kernel"]), help="Keep routes in this host's kernel.")
@click.option(
    "--proto",
    type=Number(5, 255),
    default=_PROTOCOL,
    show_default=True,
    help="Their protocol number.",
)
@click.option(
    "--run",
    "command",
    default="",
    metavar="COMMAND",
    help="Run this at every change, and every minute, with the routes as JSON on standard input.",
)
@click.option(
    "--keep",
    "kept",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the latest routes there, and begin with them.",
)
@reads_plugin
def routes_command(
    exact: bool,
    tags: str,
    node: str,
    all_nodes: bool,
    form: str | None,
    check: bool,
    watch: bool,
    sync: str | None,
    proto: int,
    command: str,
    kept: Path | None,
    which: Which,
) -> int:
    """Show what this host has to announce to its routers.

    With --watch it sees to it that this is announced: see docs/routing.md.
    """
    if node and all_nodes:
        raise click.UsageError("choose one of --node and --all")
    wanted = _Wanted(which, exact, tags, node, all_nodes)
    if watch:
        if form is not None:
            raise click.UsageError(
                "--format and --json go without --watch: --run COMMAND reads JSON on standard input"
            )
        _watch(wanted, _Keeping(sync is not None, proto, command, kept, check))
        return 0
    if sync or command or kept:
        raise click.UsageError("--sync, --run and --keep go with --watch")
    client = found_plugin(which).client
    announced = wanted.ask(client)
    doubts = wanted.doubts(client)
    if doubts:
        say(doubts)
    if check:
        return _check(announced, proto)
    click.echo(text_of(announced, form or "plain", proto), nl=False)
    return 0


def _check(announced: Announced, protocol: int) -> int:
    with surroundings().open_kernel(protocol) as kernel:
        warnings = announced_twice(kernel, announced)
    for warning in warnings:
        click.echo(warning)
    return _DIFFERENT if warnings else 0


def _watch(wanted: _Wanted, keeping: _Keeping) -> None:
    if keeping.sync and (wanted.node or wanted.all_nodes):
        raise click.UsageError(
            "--sync kernel announces this host's routes: without --node and --all"
        )
    if not keeping.sync and not keeping.command and not keeping.check:
        raise click.UsageError("say what --watch is for: --sync kernel, --run COMMAND or --check")
    if keeping.sync:
        check_may_change()
    around = surroundings()
    watch = Watch(
        ask=_asking(wanted),
        targets=list(_targets(keeping, around.open_kernel)),
        kept=keeping.kept,
        monotonic=time.monotonic,
        sleep=time.sleep,
        tell=say,
    )
    signal.signal(signal.SIGTERM, _end)
    watch.begin()
    tell_ready()
    while True:
        watch.turn()


def _asking(wanted: _Wanted) -> Callable[[str, int], Announced]:
    """Asks the plugin, and says what of the question the plan does not have: at first, and when
    there are other routes, as after an edit of the schema."""
    client: list[Client] = []
    said = ""

    def ask(after: str, wait: int) -> Announced:
        nonlocal said
        # A plugin that is installed again has another socket.
        try:
            client[:] = client or [found_plugin(wanted.which).client]
            announced = wanted.ask(client[0], after, wait)
        except Exception:
            client.clear()
            raise
        if announced.version != after:
            doubts = wanted.doubts(client[0])
            if doubts and doubts != said:
                say(doubts)
            said = doubts
        return announced

    return ask


def _targets(keeping: _Keeping, open_kernel: OpenKernel) -> list[Target]:
    targets = []
    if keeping.sync:
        targets.append(Target("the kernel", _synchronizing(open_kernel, keeping.protocol)))
    if keeping.command:
        hook = Hook(keeping.command)
        targets.append(Target("the command", lambda wanted, _former: hook.run(wanted)))
    if keeping.check:
        targets.append(Target("the check", _checking(open_kernel, keeping.protocol)))
    return targets


def _synchronizing(open_kernel: OpenKernel, protocol: int) -> Callable[[Announced, Announced], str]:
    def apply(wanted: Announced, formerly: Announced) -> str:
        try:
            with open_kernel(protocol) as kernel:
                changes = synchronize(kernel, wanted, formerly)
        except OSError as error:
            return f"its routes cannot be changed: {error.strerror or error}"
        for line in changes.done:
            say(line)
        return "; ".join(changes.failed)

    return apply


def _checking(open_kernel: OpenKernel, protocol: int) -> Callable[[Announced, Announced], str]:
    known: set[str] = set()

    def apply(wanted: Announced, _formerly: Announced) -> str:
        try:
            with open_kernel(protocol) as kernel:
                warnings = set(announced_twice(kernel, wanted))
        except OSError as error:
            return f"its routes cannot be read: {error.strerror or error}"
        for warning in sorted(warnings - known):
            say(warning)
        known.clear()
        known.update(warnings)
        return ""

    return apply


def _end(_number: int, _frame: FrameType | None) -> None:
    # What is kept was written durably, and the routes are to stay.
    sys.exit(0)
