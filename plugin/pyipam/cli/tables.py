"""Tables of aligned columns, as docker's own commands print them: the same in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyipam.core.messages import when

_GAP = "   "


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows below their headings, without a blank at the end of a line."""
    lines = [tuple(headings), *(tuple(_text(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _text(cell: object) -> str:
    """A cell on one line. What is not known is a dash, so that columns can be cut by blanks."""
    text = "-" if cell is None else " ".join(str(cell).split())
    # An answer may hold characters that would move the cursor of a terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in text) or "-"


def plain(text: object) -> str:
    """A text of an answer on one line, without what a terminal would obey."""
    return "".join(
        letter if letter.isprintable() else "?" for letter in " ".join(str(text).split())
    )


def moment(time: float | None) -> str:
    """A UNIX time in seconds as text, in UTC."""
    return "-" if time is None else when(time)


def counted(number: int, one: str, several: str = "") -> str:
    """A number with the word for it: "1 pool", "2 pools"."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def shown_count(number: int) -> str:
    """A number of blocks: in full up to six digits, else as a power of two, rounded down."""
    if number < 1_000_000:
        return str(number)
    power = number.bit_length() - 1
    return f"2^{power}" if number == 1 << power else f">2^{power}"
