"""/metrics and /healthz: the plugin as a monitoring system sees it.

The calls are counted in plain integers (runtime/meters.py), and what is held is counted while it
changes. Metrics are made of both when somebody asks, by prometheus_client, which is imported then.
Names and labels are described in docs/monitoring/README.md; no label grows with what is held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, get_args

import falcon
import orjson

from pyipam.api.parameters import Parameters
from pyipam.api.status import CountsStatus, Remark, StatusView, Subject
from pyipam.api.views import Views
from pyipam.errors import Unavailable
from pyipam.runtime.meters import BOUNDS, CallMeter
from pyipam.runtime.plugin import Plugin
from pyipam.views.aggregates import AggregatesOfScope
from pyipam.views.lease_counts import LeaseState
from pyipam.views.scopes import ScopeFullness

if TYPE_CHECKING:
    from prometheus_client.core import Metric

METRICS_PATH = "/metrics"
HEALTH_PATH = "/healthz"


class Monitoring:
    """One resource for both."""

    def __init__(self, plugin: Plugin, views: Views) -> None:
        self._plugin = plugin
        self._views = views

    def on_get_metrics(self, request: falcon.Request, response: falcon.Response) -> None:
        Parameters(request, ())
        # Imported only now: most plugins are never asked.
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        response.data = generate_latest(registry)
        response.content_type = CONTENT_TYPE_PLAIN_0_0_4

    def on_get_healthz(self, request: falcon.Request, response: falcon.Response) -> None:
        Parameters(request, ())
        if self._plugin.is_loading:
            raise Unavailable("the plan is being read from its store")
        if self._plugin.problem is not None:
            raise Unavailable(self._plugin.problem)
        response.data = orjson.dumps({"status": "ok"})

    def describe(self) -> Iterable[Metric]:
        """What prometheus_client asks of a collector when it is registered, to find two that
        collide: nothing, as there is only this one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric of the plugin: what prometheus_client asks of a collector."""
        status = self._views.status()
        yield from _calls(self._plugin.meters)
        yield from _condition(status)
        if status.failure is None:
            yield _pools(status.counts)
            yield _leases(self._views.lease_counts())
            yield from _scopes(*self._views.fullness())
            yield from _node(status)
            yield from _aggregates(self._views.aggregates())


def _calls(meters: Mapping[str, CallMeter]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily(
        "pyipam_requests",
        "Calls from Docker that were answered, by outcome.",
        labels=("call", "outcome"),
    )
    durations = HistogramMetricFamily(
        "pyipam_request_duration_seconds",
        "Time from the first byte of a call from Docker until its answer was sent.",
        labels=("call",),
    )
    bounds = [*map(str, BOUNDS), "+Inf"]
    for call, meter in meters.items():
        for outcome, count in meter.outcomes.items():
            requests.add_metric((call, outcome), count)
        buckets = list(zip(bounds, accumulate(meter.durations), strict=True))
        durations.add_metric((call,), buckets, meter.seconds)
    yield requests
    yield durations


def _condition(status: StatusView) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily(
        "pyipam_build",
        "The version of the plugin, and the kind of its store.",
        value={"version": status.version, "store": status.store},
    )
    yield GaugeMetricFamily(
        "pyipam_serving",
        "1 if the plan is loaded and its store can be used, else 0.",
        value=float(status.failure is None),
    )
    yield GaugeMetricFamily(
        "pyipam_new_pools_refused",
        "1 if no new network can get a pool, because of a setting, the schema or the store.",
        value=float(status.schema.new_pools_refused),
    )
    yield _remarks(
        "pyipam_problems", "Problems that keep the plugin from working.", status.problems
    )
    yield _remarks("pyipam_remarks", "Remarks that an operator should look at.", status.remarks)


def _remarks(name: str, description: str, remarks: Iterable[Remark]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    counts = Counter(remark.about for remark in remarks)
    metric = GaugeMetricFamily(name, f"{description} /v1/status lists them.", labels=("about",))
    for about in get_args(Subject):
        metric.add_metric((about,), counts[about])
    return metric


def _pools(counts: CountsStatus) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(
        "pyipam_pools",
        "Pools of this node and of the swarm. Unclaimed ones may have leaked.",
        labels=("state",),
    )
    in_use = counts.pools - counts.resting_pools - counts.unclaimed_pools
    metric.add_metric(("in_use",), in_use)
    metric.add_metric(("unclaimed",), counts.unclaimed_pools)
    metric.add_metric(("resting",), counts.resting_pools)
    return metric


def _leases(by_scope: Mapping[str, Mapping[LeaseState, int]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(
        "pyipam_leases",
        "Leases of this node and of the swarm in a scope and in no scope below it. Unclaimed ones "
        "may have leaked.",
        labels=("scope", "state"),
    )
    for network, counts in by_scope.items():
        for state, count in counts.items():
            metric.add_metric((network, state), count)
    return metric


def _scopes(scopes: Iterable[ScopeFullness], pools: Mapping[str, int]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    # Of several scopes of one network the deepest, as everywhere.
    by_network = {scope.network: scope for scope in scopes}
    blocks = GaugeMetricFamily(
        "pyipam_scope_blocks",
        "Blocks of child_prefix that the own space of a scope has.",
        labels=("scope",),
    )
    free = GaugeMetricFamily(
        "pyipam_scope_free_blocks",
        "Blocks of child_prefix that are free in the own space of a scope.",
        labels=("scope",),
    )
    held = GaugeMetricFamily(
        "pyipam_scope_pools",
        "Pools of all nodes in a scope and in no scope below it.",
        labels=("scope",),
    )
    for network, scope in by_network.items():
        blocks.add_metric((network,), scope.blocks)
        free.add_metric((network,), scope.free)
        held.add_metric((network,), pools.get(network, 0))
    yield from (blocks, free, held)


def _node(status: StatusView) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        "pyipam_node_drained",
        "1 if an operator drained this node: new networks of this host get no pool.",
        value=float(status.node_state == "draining"),
    )
    yield GaugeMetricFamily(
        "pyipam_node_forgotten",
        "1 if an operator forgot this node: it gives out nothing.",
        value=float(status.node_state == "forgotten"),
    )
    yield GaugeMetricFamily(
        "pyipam_strays",
        "Pools of this node in scopes with node_prefix, and in none of its aggregates.",
        value=status.aggregates.strays,
    )


def _aggregates(by_scope: Mapping[str, AggregatesOfScope]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    own = GaugeMetricFamily(
        "pyipam_aggregates",
        "Aggregates of this node in a scope: blocks of node_prefix that it has claimed.",
        labels=("scope", "state"),
    )
    blocks = GaugeMetricFamily(
        "pyipam_aggregate_blocks",
        "Blocks of child_prefix in the aggregates of this node that do not rest.",
        labels=("scope",),
    )
    free = GaugeMetricFamily(
        "pyipam_aggregate_free_blocks",
        "Those of them that are free.",
        labels=("scope",),
    )
    claimed = GaugeMetricFamily(
        "pyipam_scope_aggregates",
        "Aggregates of all nodes in a scope, at rest or not.",
        labels=("scope",),
    )
    claimable = GaugeMetricFamily(
        "pyipam_scope_free_aggregates",
        "Blocks of node_prefix in a scope that can still be claimed, including reserved ones.",
        labels=("scope",),
    )
    for network, counts in by_scope.items():
        for state, count in counts.own.items():
            own.add_metric((network, state), count)
        blocks.add_metric((network,), counts.blocks)
        free.add_metric((network,), counts.free)
        claimed.add_metric((network,), counts.claimed)
        claimable.add_metric((network,), counts.claimable)
    yield from (own, blocks, free, claimed, claimable)
