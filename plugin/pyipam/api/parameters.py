"""The parameters of a view, read from its query."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

import falcon

from pyipam.errors import InvalidRequest
from pyipam.space.address import Address, parse_address
from pyipam.space.block import Block, block_of
from pyipam.views.order import Part

MOST_ITEMS = 500
# The parameters of a list.
PAGE = ("limit", "after")
_FLAGS = {"true": True, "false": False}


class Parameters:
    """The parameters of one request. A parameter that is empty counts as left out."""

    def __init__(self, request: falcon.Request, *known: str) -> None:
        """Read those that are `known`. Raises InvalidRequest for others."""
        given: Mapping[str, str | list[str]] = request.params
        for name, value in given.items():
            if name not in known:
                choice = ", ".join(known) or "none"
                raise InvalidRequest(f"{request.path} has no parameter {name!r}; it has: {choice}")
            if isinstance(value, list):
                raise InvalidRequest(
                    f"the parameter {name} is given {len(value)} times; once will do"
                )
        self._values = {name: str(value) for name, value in given.items() if value}

    def text(self, name: str) -> str | None:
        """A value as it is."""
        return self._values.get(name)

    def flag(self, name: str) -> bool | None:
        """A value that is true or false."""
        text = self._values.get(name)
        if text is not None and text not in _FLAGS:
            raise InvalidRequest(f"{name}={text!r} must be true or false")
        return None if text is None else _FLAGS[text]

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number."""
        text = self._values.get(name)
        if text is None:
            return None
        if not text.isdecimal() or not least <= int(text[:9]) <= most:
            raise InvalidRequest(f"{name}={text!r} must be a number from {least} to {most}")
        return int(text)

    def choice(self, name: str, *choices: str) -> str | None:
        """One of these values."""
        text = self._values.get(name)
        if text is not None and text not in choices:
            raise InvalidRequest(f"{name}={text!r} must be one of {', '.join(choices)}")
        return text

    def block(self, name: str) -> Block | None:
        """A network."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return block_of(ip_network(text))
        except ValueError as error:
            raise InvalidRequest(f"{name}={text!r} is not a network: {error}") from None

    def address(self, name: str) -> Address | None:
        """An address."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return parse_address(text)
        except ValueError as error:
            raise InvalidRequest(f"{name}={text!r} is not an address: {error}") from None

    def part(self) -> Part:
        """Which page is asked for."""
        limit = self.number("limit", 1, MOST_ITEMS)
        return Part(self._values.get("after", ""), Part().limit if limit is None else limit)
