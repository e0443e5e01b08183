"""The settings of the plugin, read once from the environment.

A value that cannot be used does not stop the plugin. Its default is used instead, new pools are
refused, and the refusal says which setting is wrong and what would be right. See "Settings and
names" in docs/architecture.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from socket import gethostname
from typing import TypeVar

from pyipam.driver_names import MAIN_DRIVER, is_alias_name
from pyipam.errors import InvalidRequest
from pyipam.log import LEVEL_NAMES
from pyipam.plan.network_options import (
    NO_OPTIONS,
    OPTION_NAMES,
    NetworkOptions,
    check_spelling,
    parse_network_options,
    unknown_options,
)
from pyipam.plan.tag_filter import TagFilter, parse_tag_filter
from pyipam.store.mongodb.address import check_store_url, without_password
from pyipam.store.pool_id import is_valid_node_name
from pyipam.store.tinydb.layout import LAYOUTS, Layout

Value = TypeVar("Value")

# Ports below are for root, whom the plugin gives up to be.
_FIRST_PORT, _LAST_PORT = 1024, 65_535
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# Where the first option of an alias begins: no tag has a '=' behind it.
_ALIAS_OPTION = re.compile(r"(?:(?<=\s)|^)[^\s=]+=")


@dataclass(frozen=True)
class Alias:
    """A driver name with a socket of its own, and the options of networks that have none."""

    name: str
    options: NetworkOptions = NO_OPTIONS


@dataclass(frozen=True)
class StatusAddress:
    """Where the status listener listens: an IP address and a port. `names` are those under which it
    may be asked, besides its addresses and localhost."""

    host: str
    port: int
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Places:
    """Where things are. Inside the plugin this is fixed; tests and developers choose other places.

    `socket` is that of the main driver, `state` the folder of the TinyDB store, `schema` and
    `credentials` what the operator mounts, `default_schema` and `build` (its version) what comes
    with the plugin. `user` is the uid and gid that the process takes. Without `host_routes`, it
    does not look at the routes of the host.
    """

    socket: Path
    state: Path
    schema: Path
    default_schema: Path
    build: Path
    user: int
    credentials: Path
    host_routes: bool = True

    def socket_of(self, alias: Alias) -> Path:
        """The socket on which the plugin listens for an alias."""
        return self.socket.with_name(f"{alias.name}.sock")


@dataclass(frozen=True)
class Settings:
    """What the operator set. `errors` has a sentence for each value that cannot be used;
    `status_error` that for STATUS_ADDR, which stops nothing else."""

    default_filter: TagFilter | None
    log_level: str
    layout: Layout
    node_name: str
    store_url: str = field(repr=False)
    allow_unmanaged: bool
    aliases: tuple[Alias, ...]
    errors: tuple[str, ...] = ()
    status_address: StatusAddress | None = None
    status_error: str | None = None

    @property
    def node(self) -> str:
        """The name of this node in a shared store."""
        return self.node_name or gethostname()


def read_places(environment: Mapping[str, str]) -> Places:
    """Read the variables that the operator does not set. Raises ValueError for a wrong user."""

    def path(name: str, default: str) -> Path:
        return Path(environment.get(name, default))

    return Places(
        socket=path("PYIPAM_SOCKET", "/run/docker/plugins/driver.sock"),
        state=path("PYIPAM_STATE", "/state"),
        schema=path("PYIPAM_SCHEMA", "/schema.json"),
        default_schema=path("PYIPAM_DEFAULT_SCHEMA", "/usr/share/pyipam/schema.json"),
        build=path("PYIPAM_BUILD", "/usr/share/pyipam/build.json"),
        user=int(environment.get("PYIPAM_USER", "65532")),
        credentials=path("PYIPAM_CREDENTIALS", "/store-credentials.json"),
        host_routes=environment.get("PYIPAM_HOST_ROUTES") != "none",
    )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the variables that `docker plugin set` sets. Never raises: see `errors`."""
    values, status = _Values(environment), _Values(environment)
    status_address = status.parse("STATUS_ADDR", "", _parse_status_address)
    return Settings(
        default_filter=values.parse("DEFAULT_TAGS", "default", _parse_default_tags),
        log_level=values.parse("LOG_LEVEL", "info", _one_of(LEVEL_NAMES)),
        layout=values.parse("STORE_LAYOUT", "scope", _one_of(LAYOUTS)),
        # These two are used even if they are wrong. Another store would hold another plan, and
        # another name would make this host another node.
        node_name=values.check("NODE_NAME", check_node_name),
        store_url=values.check("STORE_URL", check_store_url),
        allow_unmanaged=values.parse("ALLOW_UNMANAGED", "false", _parse_flag),
        aliases=values.parse("DRIVER_ALIASES", "pyipam=", parse_aliases),
        errors=tuple(values.errors),
        status_address=status_address,
        status_error=next(iter(status.errors), None),
    )


class _Values:
    """The values of the settings, and a sentence for each that cannot be used."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.errors: list[str] = []
        self._environment = environment

    def parse(self, name: str, default: str, parse: Callable[[str], Value]) -> Value:
        """The parsed value; that of the default if the setting is empty or wrong."""
        text = self._text(name)
        if text:
            try:
                return parse(text)
            except (InvalidRequest, ValueError) as error:
                self._add_error(name, text, error)
        return parse(default)

    def check(self, name: str, check: Callable[[str], object]) -> str:
        """The text of the setting, whether it is wrong or not."""
        text = self._text(name)
        if text:
            try:
                check(text)
            except (InvalidRequest, ValueError) as error:
                self._add_error(name, text, error)
        return text

    def _text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def _add_error(self, name: str, text: str, error: Exception) -> None:
        # In what is not a URL, nobody can tell where the password is.
        is_secret = name == "STORE_URL" and "@" in text and "://" not in text
        shown = "***" if is_secret else without_password(text)
        self.errors.append(f"setting {name}={shown!r}: {error}")


def parse_aliases(text: str) -> tuple[Alias, ...]:
    """Read `pyipam= ; store=internally_routed+!public prefix=28 ; lan=lan shared=true`.

    Raises InvalidRequest or ValueError naming the part that cannot be read.
    """
    aliases: dict[str, Alias] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, separator, wishes = (item.strip() for item in part.partition("="))
        if not separator or not is_alias_name(name):
            raise ValueError(
                f"{part!r} is not a valid alias: write NAME=TAGS or NAME=, and options such as "
                "prefix=26 behind the tags, separated by ';'. A name has up to 17 of the "
                "characters a-z, 0-9, '_', '.' and '-', begins with a letter or a digit, and is "
                f"not {MAIN_DRIVER!r}"
            )
        if name in aliases:
            raise ValueError(f"the alias {name!r} is listed twice")
        aliases[name] = Alias(name, _parse_alias_options(name, wishes))
    return tuple(aliases.values())


def _parse_alias_options(name: str, text: str) -> NetworkOptions:
    """Read what stands behind `NAME=`: tags, then options, separated by blanks."""
    first = _ALIAS_OPTION.search(text)
    tags, words = (text[: first.start()], text[first.start() :].split()) if first else (text, [])
    options: dict[str, str] = {}
    for word in words:
        option, separator, value = word.partition("=")
        if not separator:
            raise ValueError(
                f"the alias {name!r} cannot be read at {word!r}: behind the tags, write options "
                "such as prefix=26,64 without blanks in them"
            )
        if option in options:
            raise ValueError(f"the alias {name!r} has two values for {option}")
        options[option] = value
    unknown = unknown_options(options)
    check_spelling(unknown)
    if unknown:
        raise ValueError(
            f"the alias {name!r} has the unknown option {unknown[0]!r}; the options of a network "
            f"are {', '.join(OPTION_NAMES)}"
        )
    tag_filter = parse_tag_filter(tags, f"the tags of alias {name}")
    if tag_filter is not None and "scope_filter_tags" in options:
        raise ValueError(f"the alias {name!r} has its tags twice: leave out scope_filter_tags")
    parsed = parse_network_options(options)
    return parsed._replace(tag_filter=tag_filter or parsed.tag_filter)


def check_node_name(name: str) -> None:
    """Raise ValueError if this cannot be the name of a node in a shared plan."""
    if not is_valid_node_name(name):
        raise ValueError("the name of a node consists of printable characters except '/' and '@'")


def _parse_default_tags(text: str) -> TagFilter | None:
    return parse_tag_filter(text, "DEFAULT_TAGS")


def _one_of(values: tuple[Value, ...]) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        for value in values:
            if value == text.lower():
                return value
        raise ValueError(f"it must be one of {', '.join(map(str, values))}")

    return parse


def _parse_flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text.lower() == "true"


def _parse_status_address(text: str) -> StatusAddress | None:
    """Read `ADDRESS:PORT`, perhaps followed by names. Raises ValueError."""
    if not text:
        return None
    where, *names = text.split()
    host, _, port = where.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        address = None
    if address is None or (address.version == 6) == (bare == host):
        raise ValueError(
            "it must be ADDRESS:PORT, such as 127.0.0.1:9430 or [::1]:9430, optionally followed "
            "by the host names that clients use, separated by blanks"
        )
    if not port.isdecimal() or not _FIRST_PORT <= int(port[:6]) <= _LAST_PORT:
        raise ValueError(f"the port must be a number from {_FIRST_PORT} to {_LAST_PORT}")
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a host")
    return StatusAddress(str(address), int(port), frozenset(name.lower() for name in names))
