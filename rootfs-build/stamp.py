"""Print the build stamp of the plugin: what is in it, and a digest of everything."""

import hashlib
import json
import sys
from pathlib import Path


def packages(listing: Path) -> dict[str, dict[str, str]]:
    """The packages in a file of lines "NAME_VERSION_ARCHITECTURE.deb SHA256", by name."""
    found = {}
    for line in listing.read_text().splitlines():
        file, digest = line.split()
        name, version, _ = file.split("_")
        found[name] = {"version": version.replace("%3a", ":"), "sha256": digest}
    return found


def wheels(listing: Path) -> dict[str, dict[str, str]]:
    """The wheels in a file of lines "SHA256  NAME-VERSION-TAGS.whl", by name."""
    found = {}
    for line in listing.read_text().splitlines():
        digest, file = line.split()
        name, version, _ = file.split("-", 2)
        found[name] = {"version": version, "sha256": digest}
    return found


def main(version: str, machine: str, package_list: str, wheel_list: str, content_list: str) -> None:
    """Write the stamp to standard output."""
    stamp = {
        "version": version,
        "machine": machine,
        "contents": hashlib.sha256(Path(content_list).read_bytes()).hexdigest(),
        "packages": packages(Path(package_list)),
        "wheels": wheels(Path(wheel_list)),
    }
    json.dump(stamp, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
