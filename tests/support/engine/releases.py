"""The Docker engines that the tests can run, and the Debian suites that they come from."""

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


RELEASES = {
    release.version: release
    for release in (
        Release("20.10", "bookworm", _COMMON),
        Release("26.1", "trixie", (*_COMMON, "docker-cli", "docker-buildx")),
        Release("28.5", "sid", (*_COMMON, "docker-cli", "docker-buildx")),
    )
}


def release_named(version: str) -> Release:
    """The release of that version. Raises Unavailable with the known versions."""
    try:
        return RELEASES[version]
    except KeyError:
        known = ", ".join(RELEASES)
        raise Unavailable(f"no engine {version!r}: the known ones are {known}") from None
