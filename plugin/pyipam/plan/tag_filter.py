"""Tag filters: which scopes a network wants its subnet from, in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pyipam.errors import InvalidRequest
from pyipam.plan.scope import Scope

TAG = re.compile(r"[A-Za-z0-9_.-]+")
_MAX_CHARACTERS = 4096


@dataclass(frozen=True)
class Term:
    """Tags that a scope must carry, and tags that it must not carry."""

    required: frozenset[str]
    forbidden: frozenset[str]

    def matches(self, scope: Scope) -> bool:
        """Whether the scope carries all required tags and no forbidden one."""
        return self.required <= scope.tags and not self.forbidden & scope.tags


@dataclass(frozen=True)
class TagFilter:
    """Terms in order of preference (docs/architecture.md, "Selecting scopes"). `text` is how the
    user wrote them, without the quotes and blanks around them."""

    text: str
    terms: tuple[Term, ...]

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def tags(self) -> frozenset[str]:
        """Every tag that it names."""
        return frozenset().union(*(term.required | term.forbidden for term in self.terms))

    def matches(self, scope: Scope) -> bool:
        """Whether the scope matches any of the terms."""
        return any(term.matches(scope) for term in self.terms)


def parse_tag_filter(text: str, name: str = "scope_filter_tags") -> TagFilter | None:
    """Read a filter such as `a+!b,c`; None if there is nothing but blanks and quotes.

    Raises InvalidRequest, which names the option or setting `name` and the part that is wrong.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InvalidRequest(f"{name} is longer than {_MAX_CHARACTERS} characters: name fewer tags")
    return _parse_tag_filter(text, name)


@lru_cache(maxsize=64)
def _parse_tag_filter(text: str, name: str) -> TagFilter | None:
    stripped = _strip(text)
    if not stripped:
        return None
    terms = tuple(_parse_term(term, text, name) for term in stripped.split(","))
    return TagFilter(stripped, terms)


def _strip(text: str) -> str:
    return text.strip(" \t\r\n\"'")


def _parse_term(term: str, text: str, name: str) -> Term:
    required: set[str] = set()
    forbidden: set[str] = set()
    for part in term.split("+"):
        tag = _strip(part)
        names = required
        if tag.startswith("!"):
            tag, names = _strip(tag[1:]), forbidden
        if not TAG.fullmatch(tag):
            place = f" at {part!r}" if _strip(part) else f": {_where_no_tag_is(_strip(text))}"
            raise InvalidRequest(
                f"{name}={text!r} cannot be read{place}: write tags (letters, digits, '_', "
                "'.', '-') joined by '+' if a scope must carry all of them, with '!' before a tag "
                "that it must not carry; separate alternatives by ',', the preferred one first"
            )
        names.add(tag)
    return Term(frozenset(required), frozenset(forbidden))


def _where_no_tag_is(text: str) -> str:
    if text[-1] in "+,":
        return f"it ends after {text[-1]!r}"
    if text[0] in "+,":
        return f"it begins with {text[0]!r}"
    return "there is no tag between two of its separators"
