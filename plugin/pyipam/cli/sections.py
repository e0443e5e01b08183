"""The commands in sections, as people look for them in `pyipam --help`."""

from __future__ import annotations

from typing import Any

import click


class Sections(click.Group):
    """A command whose subcommands are listed under headings, in the order in which they came."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sections: dict[str, list[str]] = {}

    def add_section(self, heading: str, *commands: click.Command) -> None:
        """Add subcommands under a heading."""
        for command in commands:
            self.add_command(command)
        self._sections[heading] = [str(command.name) for command in commands]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all subcommands, section by section."""
        return [name for names in self._sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections into the help text."""
        width = max(map(len, self.commands))
        limit = formatter.width - 6 - width
        for heading, names in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.commands[name].get_short_help_str(limit))
                        for name in names
                    ]
                )
