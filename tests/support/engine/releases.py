"""The Docker engines that the tests can run, and the Debian suites that they come from."""

import os
from dataclasses import dataclass

from tests.support.engine.unavailable import Unavailable

_COMMON = (
    "busybox-static",
    "ca-certificates",
    "docker-compose",
    "docker-registry",
    "docker.io",
    "iproute2",
    "iptables",
)


@dataclass(frozen=True)
class Release:
    """An engine version (`20.10`) and the packages of the suite that make it run in a chroot."""

    version: str
    suite: str
    packages: tuple[str, ...]


# What the oldest one needs to run without root; see tests/support/engine/rootless_engine.py.
ROOTLESS = Release("20.10-rootless", "bookworm", (*_COMMON, "rootlesskit", "slirp4netns", "uidmap"))

RELEASES = {
    release.version: release
    for release in (
        Release("20.10", "bookworm", _COMMON),
        Release("26.1", "trixie", (*_COMMON, "docker-cli", "docker-buildx")),
        Release("28.5", "sid", (*_COMMON, "docker-cli", "docker-buildx")),
    )
}

# The oldest and the newest that can be had run the tests of engines; those between, a few. What
# depends on no engine runs on the newest alone.
_DEFAULT = "20.10 28.5"
_DEFAULT_BETWEEN = "26.1"


def engines_under_test() -> list[str]:
    """The versions that run all tests of engines, the oldest first: those in the environment
    variable ENGINES."""
    return (os.environ.get("ENGINES") or _DEFAULT).split()


def engines_between() -> list[str]:
    """The further versions that run the tests marked as `smoke`: none if ENGINES is set."""
    return [] if os.environ.get("ENGINES") else _DEFAULT_BETWEEN.split()


def release_named(version: str) -> Release:
    """The release of that version. Raises Unavailable with the known versions."""
    if version == ROOTLESS.version:
        return ROOTLESS
    try:
        return RELEASES[version]
    except KeyError:
        known = ", ".join(RELEASES)
        raise Unavailable(f"no engine {version!r}: the known ones are {known}") from None
