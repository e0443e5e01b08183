"""The parameters of a view, read from its query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import falcon

from pyipam.errors import InvalidRequest
from pyipam.space.address import Address, parse_address, why_no_address
from pyipam.space.block import Block, parse_subnet
from pyipam.views.order import Part

MOST_ITEMS = 500
# The year 33658.
MOST_SECONDS = 10**12
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a view may be asked for: the name, what it means, and what its value is. A number lies
    between `least` and `most`; a choice is one of `choices`."""

    name: str
    meaning: str
    kind: Literal["text", "flag", "number", "choice", "subnet", "address", "time"] = "text"
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()


class Parameters:
    """The parameters of one request. A parameter that is empty counts as left out."""

    def __init__(self, request: falcon.Request, described: Iterable[Parameter]) -> None:
        """Read those that are described. Raises InvalidRequest for others."""
        given: Mapping[str, str | list[str]] = request.params
        known = {parameter.name: parameter for parameter in described}
        for name, value in given.items():
            if name not in known:
                choice = ", ".join(known) or "none"
                raise InvalidRequest(f"{request.path} has no parameter {name!r}; it has: {choice}")
            if isinstance(value, list):
                raise InvalidRequest(
                    f"the parameter {name} is given {len(value)} times; once will do"
                )
        self._known = known
        self._values = {name: str(value) for name, value in given.items() if value}

    def text(self, name: str) -> str | None:
        """A value as it is."""
        return self._values.get(name)

    def lower(self, name: str) -> str | None:
        """A value in lower case."""
        text = self._values.get(name)
        return None if text is None else text.lower()

    def flag(self, name: str) -> bool | None:
        """A value that is true or false."""
        text = self._values.get(name)
        if text is not None and text not in _FLAGS:
            raise InvalidRequest(f"{name}={text!r} must be true or false")
        return None if text is None else _FLAGS[text]

    def number(self, name: str) -> int | None:
        """A whole number."""
        text = self._values.get(name)
        if text is None:
            return None
        least, most = self._known[name].least, self._known[name].most
        if not text.isdecimal() or not least <= int(text[:9]) <= most:
            raise InvalidRequest(f"{name}={text!r} must be a number from {least} to {most}")
        return int(text)

    def moment(self, name: str) -> float | None:
        """A UNIX time in seconds."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            seconds = float(text.replace("_", " "))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= MOST_SECONDS:
            raise InvalidRequest(f"{name}={text!r} is not a UNIX time in seconds")
        return seconds

    def choice(self, name: str) -> str | None:
        """One of a few values."""
        text, choices = self._values.get(name), self._known[name].choices
        if text is not None and text not in choices:
            raise InvalidRequest(f"{name}={text!r} must be one of {', '.join(choices)}")
        return text

    def block(self, name: str) -> Block | None:
        """A subnet."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return parse_subnet(text)
        except ValueError as error:
            raise InvalidRequest(f"{name}={text!r} {error}") from None

    def address(self, name: str) -> Address | None:
        """An address."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return parse_address(text)
        except ValueError:
            raise InvalidRequest(f"{name}={text!r} {why_no_address(text)}") from None

    def part(self) -> Part:
        """Which page is asked for."""
        limit = self.number("limit")
        return Part(self._values.get("after", ""), Part().limit if limit is None else limit)
