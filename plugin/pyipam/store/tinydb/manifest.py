"""The manifest of a state folder: what must be there to be complete."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from pyipam.errors import StateCorrupted
from pyipam.files import replace_file
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.journal import holds_batches

# In format 1 each TinyDB file was a single line.
FORMAT = 2
NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """`files` maps each TinyDB file to the last batch that it must contain at least; `journal`
    is the first journal whose batches may be missing from them; `format` that of the files."""

    files: dict[str, int]
    journal: int
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it in force. Raises OSError; the former one is then still in force."""
    content = orjson.dumps(asdict(manifest))
    document = {"crc32": zlib.crc32(content), "state": orjson.Fragment(content)}
    replace_file(folder / NAME, [orjson.dumps(document)])


def read_manifest(folder: Path) -> Manifest | None:
    """What is in force; None in a folder where nothing was ever stored. Raises StateCorrupted."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        files = (*folder.glob("scopes/*.json"), *folder.glob("drivers.json"))
        if files or any(holds_batches(item) for item in folder.glob("journal-*.log")):
            raise corrupted(path, 0, "the file is missing, though others are there") from None
        return None
    try:
        document = orjson.loads(content)
        checksum, state = document["crc32"], document["state"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise corrupted(path, 0, f"it cannot be read ({error})") from error
    if checksum != zlib.crc32(orjson.dumps(state)):
        raise corrupted(path, 0, "the file does not agree with its checksum")
    if state["format"] > FORMAT:
        raise StateCorrupted(
            f"{path} is of format {state['format']}; this pyipam reads formats up to {FORMAT}: "
            "install the version that wrote it"
        )
    return Manifest(state["files"], state["journal"], state["format"])
