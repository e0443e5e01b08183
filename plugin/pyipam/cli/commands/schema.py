"""`pyipam schema`: the JSON Schema of schemas."""

from __future__ import annotations

import click

from pyipam.cli.options import print_json, prints_json
from pyipam.plan.schema_rules import json_schema


@click.command("schema", epilog="Example: pyipam schema > pyipam-schema.json")
@prints_json
def schema_command(as_json: bool) -> None:
    """Print the JSON Schema with which editors check a schema."""
    print_json(json_schema())
