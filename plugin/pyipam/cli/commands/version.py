"""`pyipam version`: of both sides."""

from __future__ import annotations

import click

from pyipam import __version__
from pyipam.cli.finding import Which
from pyipam.cli.options import found_plugin, print_json, prints_json, reads_plugin
from pyipam.cli.tables import plain
from pyipam.errors import PyipamError


@click.command("version", epilog="Example: sudo pyipam version")
@reads_plugin
@prints_json
def version_command(which: Which, as_json: bool) -> None:
    """Show the versions of this command and of the plugin."""
    plugin, reason = None, None
    try:
        plugin = found_plugin(which).client.get("status")["version"]
    except PyipamError as error:
        # The command's own version is asked for just where the plugin does not answer.
        reason = str(error)
    if as_json:
        print_json({"command": __version__, "plugin": plugin, "failure": reason})
        return
    click.echo(f"command {__version__}")
    click.echo(plain(f"plugin {plugin}" if plugin is not None else f"plugin unknown: {reason}"))
