"""The options of a network: what `docker network create --ipam-opt` and a driver alias can ask for.

A network's own option replaces that of its driver name, one by one: see "Short names" in
docs/operations.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeVar

from pyipam.errors import InvalidRequest
from pyipam.plan.tag_filter import TagFilter, parse_tag_filter

Value = TypeVar("Value")

OPTION_NAMES = ("scope_filter_tags", "prefix", "id", "shared")
# What people write for them that no comparison of letters finds.
_OTHER_NAMES = {
    "tag": "scope_filter_tags",
    "tags": "scope_filter_tags",
    "filter": "scope_filter_tags",
    "filter_tags": "scope_filter_tags",
    "scope_tags": "scope_filter_tags",
    "length": "prefix",
    "prefixlen": "prefix",
    "prefix_length": "prefix",
}
# Names that dockerd gives to options of its own (libnetwork, ipamapi and netlabel).
_DOCKERS_OWN = ("com.docker.", "RequestAddressType")
_LIKENESS = 0.75

_LENGTH = re.compile(r"[0-9]{1,3}")
_MAX_IPV4_LENGTH = 32
_MAX_IPV6_LENGTH = 128


class NetworkOptions(NamedTuple):
    """What a network or an alias asks for; None where it says nothing.

    `ipv4_length` and `ipv6_length` are prefix lengths, `label` is the user's `id`. `shared` says
    whether other networks may have the same subnet.
    """

    tag_filter: TagFilter | None = None
    ipv4_length: int | None = None
    ipv6_length: int | None = None
    label: str | None = None
    shared: bool | None = None

    def length(self, version: int) -> int | None:
        """The prefix length that is asked for in IP version 4 or 6, or None."""
        return self.ipv4_length if version == 4 else self.ipv6_length

    def over(self, defaults: NetworkOptions) -> NetworkOptions:
        """These options, each with its default where nothing is said."""
        if defaults == NO_OPTIONS:
            return self
        return NetworkOptions(
            _first(self.tag_filter, defaults.tag_filter),
            _first(self.ipv4_length, defaults.ipv4_length),
            _first(self.ipv6_length, defaults.ipv6_length),
            _first(self.label, defaults.label),
            _first(self.shared, defaults.shared),
        )


def _first(own: Value | None, default: Value | None) -> Value | None:
    return default if own is None else own


NO_OPTIONS = NetworkOptions()


def parse_network_options(options: Mapping[str, str]) -> NetworkOptions:
    """Read the options that pyipam knows; others are left alone. Raises InvalidRequest, naming the
    option and the part that cannot be read."""
    if not options:
        return NO_OPTIONS
    lengths = _parse_prefix(options.get("prefix", ""))
    return NetworkOptions(
        parse_tag_filter(options.get("scope_filter_tags", "")),
        lengths.get(4),
        lengths.get(6),
        options.get("id"),
        _parse_shared(options.get("shared", "")),
    )


def unknown_options(options: Mapping[str, str]) -> list[str]:
    """The names among the options that neither pyipam nor Docker knows."""
    return [
        name for name in options if name not in OPTION_NAMES and not name.startswith(_DOCKERS_OWN)
    ]


def check_spelling(names: Iterable[str]) -> None:
    """Raise InvalidRequest if one of these names was probably meant to be an option of pyipam."""
    for name in names:
        meant = _meant_by(name)
        if meant is not None:
            raise InvalidRequest(
                f"option {name!r} is unknown; did you mean {meant!r}? The options of a network "
                f"are {', '.join(OPTION_NAMES)}"
            )


@lru_cache(maxsize=64)
def _meant_by(name: str) -> str | None:
    plain = name.strip(" \t\"'").lower().replace("-", "_")[:64]
    if plain in OPTION_NAMES:
        return plain
    near = difflib.get_close_matches(plain, ("scope_filter_tags", "prefix", "shared"), 1, _LIKENESS)
    return _OTHER_NAMES.get(plain) or (near[0] if near else None)


def version_of_length(length: int) -> int:
    """The IP version that a prefix length asks for by itself: 4 up to 32, and 6 above."""
    return 4 if length <= _MAX_IPV4_LENGTH else 6


@lru_cache(maxsize=64)
def _parse_prefix(text: str) -> dict[int, int]:
    """The length for each IP version that `prefix=28` or `prefix=28,72` asks for."""
    lengths: dict[int, int] = {}
    for part in filter(None, (part.strip(" \"'/") for part in text.split(","))):
        if not _LENGTH.fullmatch(part) or not 1 <= int(part) <= _MAX_IPV6_LENGTH:
            raise InvalidRequest(
                f"prefix={text!r} cannot be read at {part!r}: write a length from 1 to 32 for "
                "IPv4, from 33 to 128 for IPv6, or one of each separated by ','"
            )
        family = version_of_length(int(part))
        if family in lengths:
            raise InvalidRequest(f"prefix={text!r} names two lengths for IPv{family}")
        lengths[family] = int(part)
    return lengths


def _parse_shared(text: str) -> bool | None:
    plain = text.strip(" \t\"'").lower()
    if plain not in ("", "true", "false"):
        raise InvalidRequest(f"shared={text!r} cannot be read: write true or false")
    return None if not plain else plain == "true"
