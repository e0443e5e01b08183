"""The processes of the contract tests, to be treated badly."""

from tests.contract.conftest import engine_a, engine_b, make_store, program, second_program

__all__ = ["engine_a", "engine_b", "make_store", "program", "second_program"]
