"""`pyipam ui`: the page of the plugin in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser

import click

from pyipam.cli.finding import Which
from pyipam.cli.messages import say
from pyipam.cli.options import Number, found_plugin, reads_plugin
from pyipam.cli.page_server import PageServer


@click.command("ui", epilog="Example: sudo pyipam ui --no-browser --port 9431")
@click.option(
    "--port",
    type=Number(0, 65535),
    default=0,
    metavar="PORT",
    help="Listen on this port of localhost; any that is free by default.",
)
@click.option("--no-browser", is_flag=True, help="Print the link to the page, and open no browser.")
@reads_plugin
def ui_command(which: Which, port: int, no_browser: bool) -> None:
    """Show the address plan in a browser.

    The page can be read until the command is ended with Ctrl-C.
    """
    client = found_plugin(which).client
    # Whatever is wrong is better said here than in the browser.
    client.get("status")
    with PageServer(client, port) as server:
        click.echo(server.link)
        say("this link works until the command ends (Ctrl-C)")
        sys.stdout.flush()
        if not no_browser and _has_screen():
            webbrowser.open(server.link)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")


def _has_screen() -> bool:
    """Whether a browser would open a window, and not take the terminal."""
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
