"""Why a command cannot be carried out."""

from __future__ import annotations

from pyipam.errors import PyipamError


class CommandRefused(PyipamError):
    """The command cannot be carried out. The sentence says why, and what would help."""


class EngineAway(CommandRefused):
    """No Docker engine can be asked."""
