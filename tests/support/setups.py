"""The set-ups of docs/setups.md, for the tests that run them as they stand there."""

import re
from pathlib import Path

from tests.support import documented
from tests.support.engine.images import BUSYBOX
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import write_schema

_PAGE = Path(__file__).parents[2] / "docs" / "setups.md"

_IMAGES = ("nginx", "redis")


def load_images(engine: PrivateEngine) -> None:
    """Let busybox stand in for the images that the page names: it is addresses that count."""
    for image in _IMAGES:
        engine.must("tag", BUSYBOX, image)


def blocks(title: str, language: str) -> list[str]:
    """The blocks of this language in the section of this title."""
    return documented.blocks(_PAGE.name, title, language)


def section(title: str) -> str:
    """The text of the section of this title."""
    return documented.section(_PAGE.name, title)


def run_script(engine: PrivateEngine, script: str) -> str:
    """Run commands of the page on the host of an engine; all must succeed. Returns the output."""
    return engine.run("sh", "-e", "-c", script).check().stdout


def use_schema_of(title: str, plugin: Plugin) -> None:
    """Put the schema of the section in force, with the commands at the top of the page."""
    [schema] = blocks(title, "json")
    write_schema(plugin, schema)
    [commands] = re.findall(r"^```sh\n(.*?)^```", _text().partition("\n## ")[0], re.M | re.S)
    run_script(plugin.engine, commands)


def _text() -> str:
    return _PAGE.read_text()
