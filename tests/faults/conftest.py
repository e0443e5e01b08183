"""The processes of the contract tests, to be treated badly."""

from tests.contract.conftest import engine_a, program

__all__ = ["engine_a", "program"]
