"""`pyipam docker-plugin`: the command as `docker pyipam`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from pyipam.cli.options import surroundings
from pyipam.cli.refusal import CommandRefused

_PROGRAM = "docker-pyipam"


@click.group("docker-plugin", epilog="Example: sudo pyipam docker-plugin install")
def docker_plugin_group() -> None:
    """Let `docker pyipam` run this command."""


@docker_plugin_group.command("install", epilog="Example: sudo pyipam docker-plugin install")
def install_command() -> None:
    """Link the command into ~/.docker/cli-plugins."""
    program = _program()
    link = _link()
    if link.exists() and not link.is_symlink():
        raise CommandRefused(f"{link} is a file that pyipam did not make; remove it first")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    except OSError as error:
        raise CommandRefused(f"{link}: {error.strerror}") from None
    click.echo(f"{link} leads to {program}: docker pyipam status")


@docker_plugin_group.command("uninstall", epilog="Example: sudo pyipam docker-plugin uninstall")
def uninstall_command() -> None:
    """Remove the link from ~/.docker/cli-plugins."""
    link = _link()
    if not link.is_symlink():
        raise CommandRefused(f"there is no link {link}")
    try:
        link.unlink()
    except OSError as error:
        raise CommandRefused(f"{link}: {error.strerror}") from None
    click.echo(f"{link} removed")


def _link() -> Path:
    return surroundings().docker_home.expanduser() / "cli-plugins" / _PROGRAM


def _program() -> Path:
    beside = Path(sys.argv[0]).resolve().with_name(_PROGRAM)
    for found in (beside, Path(sys.executable).with_name(_PROGRAM)):
        if found.exists():
            return found
    on_path = shutil.which(_PROGRAM)
    if on_path is None:
        raise CommandRefused(f"there is no program {_PROGRAM}; install the package docker-pyipam")
    return Path(on_path)
