"""`pyipam nodes forget` over a shared plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyipam.cli.main import main
from tests.mongodb.nodes import SharedPlan


def forget(plan: SharedPlan, node: str, *options: str) -> int:
    """Forget a node. Returns the exit status."""
    return main(["nodes", "forget", node, "--store-url", plan.address.url, *options])


def let_time_pass(plan: SharedPlan, node: str, **how_long: float) -> None:
    """Let the node have been seen so long ago."""
    seen = datetime.now(UTC) - timedelta(**how_long)
    plan.database.nodes.update_one({"_id": node}, {"$set": {"seen": seen}})
