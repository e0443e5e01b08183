"""`pyipam completion`: what a shell needs to complete commands, options and values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pyipam.cli.refusal import CommandRefused


@click.command("completion", epilog='Example: eval "$(pyipam completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what a shell needs to complete this command."""
    completion = get_completion_class(shell)
    assert completion is not None
    program = click.get_current_context().find_root()
    try:
        script = completion(program.command, {}, "pyipam", "_PYIPAM_COMPLETE").source()
    except (OSError, RuntimeError) as error:
        # For bash, its version is asked for.
        raise CommandRefused(f"{shell} cannot be asked for its version: {error}") from None
    click.echo(script)
