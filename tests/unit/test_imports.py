"""What the program does not import, because most hosts never need it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "pyipam.api.app",
        "pyipam.runtime.configured_store",
        "pyipam.runtime.plugin",
        "pyipam.server",
        "pyipam.serving.loop",
    ],
)
def test_pymongo_is_not_imported_before_a_store_asks_for_it(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules.keys() & {{'pymongo', 'bson', 'dns'}})"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "\n"
