"""The contract with Docker, with the plan in MongoDB: the same calls, replays and views."""

from __future__ import annotations

from tests.contract.test_calls import *  # noqa: F403
from tests.contract.test_replays import *  # noqa: F403
from tests.contract.test_views import *  # noqa: F403
