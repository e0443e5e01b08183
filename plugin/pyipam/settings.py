"""The settings of the plugin: the environment, read once.

A wrong value stops nothing: the default takes its place, new pools are refused, and the refusal
says which setting is wrong and what would be right. See "Settings and names" in
docs/architecture.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import TypeVar

from pyipam.errors import InvalidRequest
from pyipam.log import LEVEL_NAMES
from pyipam.plan.tag_filter import TagFilter, parse_tag_filter
from pyipam.store.mongodb.address import check_store_url, without_password
from pyipam.store.pool_id import is_valid_node_name
from pyipam.store.tinydb.contents import LAYOUTS, Layout

Value = TypeVar("Value")

MAIN_DRIVER = "driver"
_ALIAS_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,16}")


@dataclass(frozen=True)
class Alias:
    """A short driver name with a socket of its own, and the tags that it stands for, if any."""

    name: str
    tag_filter: TagFilter | None = None


@dataclass(frozen=True)
class Places:
    """Where things are: fixed inside the plugin, elsewhere in tests and when developing."""

    socket: Path
    state: Path
    schema: Path
    default_schema: Path
    build: Path
    user: int
    credentials: Path

    def socket_of(self, alias: Alias) -> Path:
        return self.socket.with_name(f"{alias.name}.sock")


@dataclass(frozen=True)
class Settings:
    """What the operator set. `errors` holds a sentence for each value that cannot be used."""

    default_filter: TagFilter | None
    log_level: str
    layout: Layout
    node_name: str
    status_address: str
    store_url: str = field(repr=False)
    allow_unmanaged: bool
    aliases: tuple[Alias, ...]
    errors: tuple[str, ...] = ()

    @property
    def node(self) -> str:
        """The name of this node in a shared store."""
        return self.node_name or gethostname()


def read_places(environment: Mapping[str, str]) -> Places:
    """Read the internal variables; no user sets them."""

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
    )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read what `docker plugin set` sets."""
    errors: list[str] = []

    def read(name: str, default: str, parse: Callable[[str], Value]) -> Value:
        text = environment.get(name, "").strip() or default
        try:
            return parse(text)
        except (InvalidRequest, ValueError) as error:
            # In something that is not a URL, it cannot be told where the password is.
            is_secret = name == "STORE_URL" and "@" in text and "://" not in text
            shown = "***" if is_secret else without_password(text)
            errors.append(f"setting {name}={shown!r}: {error}")
            return parse(default)

    # The values of these are kept even if they are wrong. The defaults would name another plan, in
    # this host's files, or another node.
    read("STORE_URL", "", _parse_store_url)
    read("NODE_NAME", "", check_node_name)
    return Settings(
        default_filter=read("DEFAULT_TAGS", "default", _parse_default_tags),
        log_level=read("LOG_LEVEL", "info", _one_of(LEVEL_NAMES)),
        layout=read("STORE_LAYOUT", "scope", _one_of(LAYOUTS)),
        node_name=environment.get("NODE_NAME", "").strip(),
        status_address=read("STATUS_ADDR", "", _parse_status_address),
        store_url=environment.get("STORE_URL", "").strip(),
        allow_unmanaged=read("ALLOW_UNMANAGED", "false", _parse_flag),
        aliases=read("DRIVER_ALIASES", "pyipam=", parse_aliases),
        errors=tuple(errors),
    )


def parse_aliases(text: str) -> tuple[Alias, ...]:
    """Read `pyipam= ; ingress=ingress ; db=internally_routed+!public`.

    Raises InvalidRequest or ValueError naming the part that cannot be read.
    """
    aliases: dict[str, Alias] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, separator, tags = (item.strip() for item in part.partition("="))
        if not separator or not _ALIAS_NAME.fullmatch(name) or name == MAIN_DRIVER:
            raise ValueError(
                f"{part!r} is not a valid alias: write NAME=TAGS or NAME=, separated by ';'. A "
                "name has up to 17 characters of a-z, 0-9, '_', '.' and '-', and is not 'driver'"
            )
        if name in aliases:
            raise ValueError(f"the alias {name!r} is listed twice")
        aliases[name] = Alias(name, parse_tag_filter(tags, f"the tags of alias {name}"))
    return tuple(aliases.values())


def _parse_default_tags(text: str) -> TagFilter | None:
    return parse_tag_filter(text, "DEFAULT_TAGS")


def check_node_name(name: str) -> str:
    """The name. Raises ValueError if a node of a shared plan cannot have it."""
    if not is_valid_node_name(name):
        raise ValueError("the name of a node consists of printable characters except '/' and '@'")
    return name


def _parse_store_url(text: str) -> str:
    return check_store_url(text) if text else text


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


def _parse_status_address(text: str) -> str:
    if text:
        raise ValueError("this version has no status listener on TCP; leave the setting empty")
    return text
