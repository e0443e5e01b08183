"""The schema that the plugins of a swarm have, and edits of it."""

from tests.support.engine.schemas import schema_text, scope, write_schema
from tests.swarm.cluster import Cluster

# How `edit_schema` recognises SCHEMA.
FIRST_SCOPE = "100.64.0.0/16 swarm"

SCHEMA = schema_text(
    scope("100.64.0.0/16", 28, tags=["swarm"], address_space="global"),
    scope("100.65.0.0/16", 28, tags=["default"], address_space="local"),
    scope("100.66.0.0/24", 28, tags=["shared"]),
    scope("100.67.0.0/29", 29, tags=["tiny"]),
)


def edit_schema(cluster: Cluster, text: str, shown: str) -> None:
    """Edit the schema of every node, and wait until each plugin draws from it: until it shows these
    tags and this network of the first scope."""
    for node in cluster.nodes:
        write_schema(node.plugin, text)

    def noticed() -> bool:
        first = [node.plugin.get("/v1/scopes")[0] for node in cluster.nodes]
        return all(f"{item['network']} {','.join(item['tags'])}" == shown for item in first)

    cluster.wait_for("every plugin has noticed the edit", noticed)
