"""How hypothesis runs here: on a loaded machine a slow example is no failure."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support.store_behaviour")

settings.register_profile("pyipam", deadline=None, print_blob=True)
settings.load_profile("pyipam")
