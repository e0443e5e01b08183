"""Fabrics for the tests: one for each file."""

from collections.abc import Iterator

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.fabric.fabric import Fabric, fabric


@pytest.fixture(scope="module")
def bare_fabric(say: Say) -> Iterator[Fabric]:
    """A router and a client, without hosts."""
    homes.remove_abandoned(say)
    with fabric(say) as made:
        yield made
