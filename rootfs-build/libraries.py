"""Print the libraries that programs and modules load, and those that these load in turn.

    libraries.py DIRECTORY FILE...

DIRECTORY holds the libraries. The files are read, not run, so they can be of any architecture.
The loader itself is not printed. ELF-64, little-endian: System V ABI, chapter 5, "Dynamic Section".
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5
_LOADER = "ld-linux-"


def needed(image: bytes) -> Iterator[str]:
    """The names of the libraries that an ELF file asks for. Raises ValueError."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    # Type, flags, place in the file, address in memory, physical address, size in the file.
    segments = [struct.unpack_from("<IIQQQQ", image, table + size * i) for i in range(count)]
    for kind, _, start, _, _, length in segments:
        if kind == _PT_DYNAMIC:
            entries = list(_entries(image[start : start + length]))
            names = _place(dict(entries)[_DT_STRTAB], segments)
            for tag, value in entries:
                if tag == _DT_NEEDED:
                    first = names + value
                    yield image[first : image.index(b"\0", first)].decode()


def _entries(dynamic: bytes) -> Iterator[tuple[int, int]]:
    for tag, value in struct.iter_unpack("<qQ", dynamic):
        if tag == _DT_NULL:
            return
        yield tag, value


def _place(address: int, segments: list[tuple[int, ...]]) -> int:
    """Where in the file that address of memory lies."""
    for kind, _, start, base, _, length in segments:
        if kind == _PT_LOAD and base <= address < base + length:
            return start + address - base
    raise ValueError("the names of its libraries lie outside of it")


def main(directory: str, *files: str) -> None:
    """Print one name a line, in order. Ends with a sentence if a library is missing."""
    libraries = Path(directory)
    found: set[str] = set()
    waiting = [Path(file) for file in files]
    while waiting:
        file = waiting.pop()
        for name in needed(file.read_bytes()):
            if name in found or name.startswith(_LOADER):
                continue
            if not (libraries / name).exists():
                sys.exit(f"libraries.py: the packages have no {name}, which {file} needs")
            found.add(name)
            waiting.append(libraries / name)
    print("\n".join(sorted(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
