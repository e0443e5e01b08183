"""The manifest of a state folder: which files must be there for the state to be complete."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from pyipam.errors import StateCorrupted
from pyipam.files import replace_file
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.journal_reading import holds_batches

MANIFEST_NAME = "manifest.json"
# The format of the TinyDB files. In format 1 each of them was a single line. Format 3 is the same
# as format 2, but has kinds of records that older versions cannot read, so that these refuse it.
FILE_FORMAT = 2
FORMAT_WITH_AGGREGATES = 3


@dataclass(frozen=True)
class Manifest:
    """`files` maps each TinyDB file, as a path in the folder, to the number of the last batch that
    it contains at least. `journal` is the number of the first journal whose batches may be missing
    from the files. `format` is the format of the files: 3 if there are, or may be in the journals,
    aggregates or marks of nodes."""

    files: dict[str, int]
    journal: int
    format: int = FILE_FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder.

    Raises OSError. The previous one is then still in force; if only the last step failed, either
    may be.
    """
    content = orjson.dumps(asdict(manifest))
    document = {"crc32": zlib.crc32(content), "state": orjson.Fragment(content)}
    replace_file(folder / MANIFEST_NAME, [orjson.dumps(document)])


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest that is in force; None if nothing was ever stored in the folder.

    Raises StateCorrupted or OSError.
    """
    path = folder / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        names = ("scopes/*.json", "drivers.json", "nodes.json")
        files = [path for name in names for path in folder.glob(name)]
        if files or any(holds_batches(item) for item in folder.glob("journal-*.log")):
            raise corrupted(path, 0, "the file is missing, but others are present") from None
        return None
    try:
        document = orjson.loads(content)
        checksum, state = document["crc32"], document["state"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise corrupted(path, 0, f"it cannot be read ({error})") from error
    if checksum != zlib.crc32(orjson.dumps(state)):
        raise corrupted(path, 0, "the checksum does not match")
    if state["format"] > FORMAT_WITH_AGGREGATES:
        raise StateCorrupted(
            f"{path} has format {state['format']}, but this version of pyipam reads formats up to "
            f"{FORMAT_WITH_AGGREGATES} only; install the version that wrote it"
        )
    return Manifest(state["files"], state["journal"], state["format"])
