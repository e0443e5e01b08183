"""The schema that the plugins of a swarm have."""

from tests.support.engine.schemas import schema_text, scope

SCHEMA = schema_text(
    scope("100.64.0.0/16", 28, tags=["swarm"], address_space="global"),
    scope("100.65.0.0/16", 28, tags=["default"], address_space="local"),
    scope("100.66.0.0/24", 28, tags=["shared"]),
    scope("100.67.0.0/29", 29, tags=["tiny"]),
)
