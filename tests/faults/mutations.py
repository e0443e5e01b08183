"""Nearly valid and entirely invalid strings, JSON and bytes, from a seeded random choice."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.near_schemas import spots_of

# As escapes, since half a surrogate pair cannot be encoded.
_STRANGE_ESCAPES = ["\\u0000", "\\ud800", "\\udc00\\ud800", "\\u001b[31m", "\\u2028", "\\n", "\\/"]
_STRANGE_CHARACTERS = (
    "\0\x01\t\n\r\x1b\x7f\x85\xa0\u0663\u0665\u2028\u200e\ufeff\uff11\U0001f600'\"\\%/:.,+!-= "
)
_STRANGE_WORDS = ["local", "global", "level=ERROR forged=x", "0x10", "1e9", "%eth0", "::", "//"]
_STRANGE = [*_STRANGE_CHARACTERS, *_STRANGE_WORDS]
_STRANGE_NUMBERS = [
    "0",
    "-0",
    "-1",
    "1e999",
    "-1E-999",
    "0.1",
    "4294967296",
    "9223372036854775808",
    "-170141183460469231731687303715884105729",
    "9" * 5000,
    "0." + "3" * 400,
]
_DEPTHS = [1, 10, 100, 1023, 1025, 30_000]


class Mutations:
    """Draws inputs from a seeded random choice."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.choose.random() < probability

    def some_times(self, most: int, act: Callable[[], None]) -> None:
        """Act at least once, mostly once, and at most `most` times."""
        act()
        while most > 1 and self.chance(0.4):
            act()
            most -= 1

    # Strings

    def string(self, good: str) -> str:
        """The string with some changes, or another one."""
        if self.chance(0.05):
            return "".join(self.choose.choices(_STRANGE, k=self.choose.randrange(12)))
        if self.chance(0.01):
            return (good or "x") * self.choose.choice([100, 3000])
        parts = list(good)
        self.some_times(4, lambda: self._edit(parts, self.choose.choice(_STRANGE)))
        return "".join(parts)

    def _edit(self, parts: list[Any], strange: Any) -> None:
        place = self.choose.randrange(len(parts) + 1)
        match self.choose.randrange(5):
            case 0:
                parts.insert(place, strange)
            case 1 if place < len(parts):
                del parts[place]
            case 2 if place < len(parts):
                parts[place] = strange
            case 3:
                parts.insert(place, self.choose.choice(parts) if parts else strange)
            case _:
                other = self.choose.randrange(len(parts) + 1)
                parts[min(place, other) : max(place, other)] = []

    # JSON as it is written, which includes what the json module would not write

    def json(self, depth: int = 0) -> str:
        """Any value, small and strange."""
        kind = self.choose.randrange(8 if depth < 3 else 5)
        if kind < 2:
            return self.choose.choice(["null", "true", "false", "NaN", "Infinity", "nul", ""])
        if kind < 4:
            return self.choose.choice(_STRANGE_NUMBERS)
        if kind < 5:
            return self.json_string("".join(self.choose.choices(_STRANGE, k=2)))
        items = [self.json(depth + 1) for _ in range(self.choose.randrange(3))]
        if kind < 7:
            return f"[{','.join(items)}]"
        return f"{{{','.join(f'{self.json_string(str(len(item)))}:{item}' for item in items)}}}"

    def json_string(self, text: str) -> str:
        """The string in JSON, sometimes with an escape that stands for no character."""
        written = json.dumps(text, ensure_ascii=self.chance(0.5))
        if self.chance(0.03):
            written = f"{written[:-1]}{self.choose.choice(_STRANGE_ESCAPES)}{written[-1:]}"
        return written

    def deep(self) -> str:
        """Deeply nested lists or objects, closed or not."""
        opening, closing = self.choose.choice([("[", "]"), ('{"a":', "}"), ('{"Options":', "}")])
        depth = self.choose.choice(_DEPTHS)
        return opening * depth + "1" + (closing * depth if self.chance(0.7) else "")

    def members(self, good: Mapping[str, Any]) -> str:
        """An object with some changes: a value, its type, a key, a repeated key."""
        written = [(key, self._written(value)) for key, value in good.items()]
        self.some_times(3, lambda: self._change_member(written, good))
        return f"{{{','.join(f'{self.json_string(key)}:{value}' for key, value in written)}}}"

    def _change_member(self, written: list[tuple[str, str]], good: Mapping[str, Any]) -> None:
        if not written:
            written.append(("x", self.json()))
            return
        place = self.choose.randrange(len(written))
        key, _ = written[place]
        value = good.get(key)
        match self.choose.randrange(8):
            case 0:
                del written[place]
            case 1:
                written[place] = (key, self.json())
            case 2:
                written.append((key, self.json()))
            case 3:
                written[place] = (self.string(key), self._written(value))
            case 4:
                written.insert(place, (self.string(key), self.json()))
            case 5 if isinstance(value, Mapping):
                written[place] = (key, self.members(value))
            case _ if isinstance(value, str):
                written[place] = (key, self.json_string(self.string(value)))
            case _:
                written[place] = (key, self.deep() if self.chance(0.05) else self.json())

    def _written(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    # Bytes

    def bytes(self, good: bytes) -> bytes:
        """The bytes with some of them flipped, removed or repeated; or any bytes."""
        if self.chance(0.1):
            return self.choose.randbytes(self.choose.randrange(64))
        content = bytearray(good)
        self.some_times(4, lambda: self._spoil(content))
        return bytes(content)

    def _spoil(self, content: bytearray) -> None:
        first, last = sorted(self.choose.randrange(len(content) + 1) for _ in range(2))
        match self.choose.randrange(5):
            case 0:
                del content[first:last]
            case 1:
                content[first:first] = content[first:last]
            case 2 if content:
                content[min(first, len(content) - 1)] ^= 1 << self.choose.randrange(8)
            case 3:
                content[first:first] = self.choose.randbytes(self.choose.randrange(1, 4))
            case _:
                del content[first:]

    # Documents

    def document(self, good: Any, strange_keys: Sequence[str]) -> Any:
        """The JSON document with some changes, which are made in `good` itself."""
        self.some_times(3, lambda: self._change_spot(good, strange_keys))
        return good

    def _change_spot(self, document: Any, strange_keys: Sequence[str]) -> None:
        spots = spots_of(document)
        if not spots:
            return
        holder, key = self.choose.choice(spots)
        value = holder[key]
        match self.choose.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[self.choose.choice(strange_keys)] = self._any(value, spots)
            case 1:
                holder.append(self._any(value, spots))
            case _:
                holder[key] = self._any(value, spots)

    def _any(self, value: Any, spots: Sequence[tuple[Any, Any]]) -> Any:
        if isinstance(value, str) and self.chance(0.6):
            return self.string(value)
        if isinstance(value, int) and self.chance(0.6):
            return value + self.choose.choice([-129, -33, -1, 1, 8, 1 << 70, 0.5])
        if self.chance(0.5):
            holder, key = self.choose.choice(spots)
            return json.loads(json.dumps(holder.get(key) if isinstance(holder, dict) else holder))
        return self.choose.choice(
            [None, True, False, 0, -1, 1e999, "", "x", "\ud800", [], {}, [[]], [None], {"a": 1}]
        )
