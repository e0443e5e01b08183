"""The commands and files that a page of the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, title: str) -> str:
    """The text of the section of this title, of a page in docs/."""
    text = (_DOCS / page).read_text()
    [found] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return str(found)


def blocks(page: str, title: str, language: str) -> list[str]:
    """The blocks of this language in that section."""
    return re.findall(rf"^```{language}\n(.*?)^```", section(page, title), re.M | re.S)
