"""`pyipam reconcile --apply`: what was reported is repaired, as far as it is still true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pyipam.cli.client import Client, Refused
from pyipam.cli.comparing import Comparison
from pyipam.cli.difference_report import Reported, entry_of
from pyipam.cli.differences import Difference, HeldAddress
from pyipam.cli.docker_use import UsedAddress
from pyipam.store.pool_id import ip_range_of, space_of, subnet_of

# The name and the body of a call.
_Call = tuple[str, dict[str, Any]]

# What becomes of each kind, in this order: what is freed may be what stands in the way of what is
# taken in, and an address is taken in through a pool that is claimed.
_REPAIRED: dict[str, Literal["freed", "claimed", "taken in"]] = {
    "leaked pool": "freed",
    "leaked address": "freed",
    "unclaimed pool": "claimed",
    "unclaimed address": "claimed",
    "missing pool": "taken in",
    "missing address": "taken in",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a reported difference: it was repaired, it was no longer there, or it was
    left as it is, with the reason."""

    kind: str
    pool: str
    address: str
    outcome: Literal["freed", "claimed", "taken in", "gone", "left"]
    why: str


def repair(client: Client, reported: Iterable[Reported], present: Comparison) -> Iterator[Outcome]:
    """Repair each difference of a report that is there now, in the same state. What was repaired
    stays so. Raises CommandRefused if the plugin cannot be asked."""
    now = {difference.place: difference for difference in present.differences}
    order = list(_REPAIRED)
    for each in sorted(reported, key=lambda each: order.index(each.place[0])):
        difference = now.get(each.place)
        if difference is None:
            yield Outcome(*each.place, "gone", "the difference no longer exists")
            continue
        yield from _repaired(client, difference, _reason_against(each, difference))


def _repaired(client: Client, difference: Difference, objection: str) -> Iterator[Outcome]:
    """Ask the plugin to repair a difference, which decides again, unless something speaks against
    it; what becomes of it, and of addresses that could not be taken in with their pool."""
    call, body = _CALLS[difference.kind](difference)
    reaction = Refused(objection) if objection else client.call(call, body)
    if isinstance(reaction, Refused):
        yield Outcome(*difference.place, "left", reaction.why)
        return
    yield Outcome(*difference.place, _REPAIRED[difference.kind], difference.why)
    for left_out in reaction.answer.get("LeftOut", ()):
        yield Outcome(
            "missing address", difference.pool, left_out["Address"], "left", left_out["Why"]
        )


def _reason_against(reported: Reported, difference: Difference) -> str:
    """Why a difference that is there is not repaired; empty if nothing speaks against it. Of what
    is missing, the present state is what is taken in."""
    if not (reported.sure and difference.sure):
        return f"it is not certain: {difference.why}"
    is_held = _REPAIRED[difference.kind] != "taken in"
    if is_held and not reported.is_of(entry_of(difference)):
        return "it has changed since the report; make a new one"
    return ""


def _free_address(difference: Difference) -> _Call:
    return "FreeAddress", {
        "PoolID": difference.pool,
        "Address": difference.address,
        "Epoch": difference.epoch,
        "Granted": difference.granted,
    }


def _free_pool(difference: Difference) -> _Call:
    return "FreePool", _pool_as_seen(difference) | {"Fingerprint": difference.fingerprint}


def _claim_pool(difference: Difference) -> _Call:
    return "ClaimPool", {
        **_pool_as_seen(difference),
        "Driver": difference.driver,
        "Networks": difference.networks,
        "Leases": [_lease_as_seen(each) for each in difference.leases],
    }


def _claim_address(difference: Difference) -> _Call:
    (held,) = difference.leases
    members = {"Driver": difference.driver, "UsedPoolID": difference.pool}
    return "ClaimAddress", members | _lease_as_seen(held)


def _pool_as_seen(difference: Difference) -> dict[str, Any]:
    claims = [
        {"Driver": claim["driver"], "Epoch": claim["epoch"], "References": claim["references"]}
        for claim in difference.claims
    ]
    return {"PoolID": difference.pool, "Created": difference.created, "Claims": claims}


def _lease_as_seen(held: HeldAddress) -> dict[str, Any]:
    return {
        "PoolID": held.pool,
        "Address": held.address,
        "Epoch": held.epoch,
        "Granted": held.granted,
        "Gateway": held.kind == "gateway",
        "Networks": held.networks,
    }


def _take_in_pool(difference: Difference) -> _Call:
    return "TakeInPool", {
        "Driver": difference.driver,
        "AddressSpace": space_of(difference.pool),
        "Pool": subnet_of(difference.pool),
        "SubPool": ip_range_of(difference.pool) or "",
        "Options": dict(difference.options),
        "Networks": difference.networks,
        "Addresses": [_used_address(each) for each in difference.addresses],
    }


def _take_in_address(difference: Difference) -> _Call:
    (missing,) = difference.addresses
    members = {"Driver": difference.driver, "PoolID": difference.pool}
    return "TakeInAddress", members | _used_address(missing)


def _used_address(missing: UsedAddress) -> dict[str, Any]:
    return {"Address": missing.address, "Networks": missing.networks, "Named": missing.named}


_CALLS: dict[str, Callable[[Difference], _Call]] = {
    "leaked address": _free_address,
    "leaked pool": _free_pool,
    "unclaimed pool": _claim_pool,
    "unclaimed address": _claim_address,
    "missing pool": _take_in_pool,
    "missing address": _take_in_address,
}
