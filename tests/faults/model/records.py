"""What the model keeps: pools, leases, driver names; and how it refuses a call."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.model.scopes import Address, Network, Scope

# The HTTP statuses of refusals.
INVALID = 400
NOT_HELD = 404
IN_USE = EXHAUSTED = 409
NOT_MANAGED = 422


class Refused(Exception):
    """The call is answered with this status, and changes nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Claim:
    """How often a driver name holds a pool, and the epoch in which it claimed it last."""

    epoch: int
    references: int


@dataclass
class Pool:
    """A pool that is held, by whom, and since when."""

    space: str
    subnet: Network
    ip_range: Network | None
    scope: Scope | None
    tags: str
    created: float
    claims: dict[str, Claim]
    shared: bool = False

    @property
    def id(self) -> str:
        suffix = "" if self.ip_range is None else f"/{self.ip_range}"
        return f"{self.space}/{self.subnet}{suffix}"

    @property
    def subnet_id(self) -> str:
        return f"{self.space}/{self.subnet}"


@dataclass
class Sharer:
    """A further network that has a gateway."""

    pool: str
    driver: str
    epoch: int


@dataclass
class Lease:
    """An address that is given out in a subnet of an address space."""

    pool: str
    subnet_id: str
    address: Address
    driver: str
    kind: str
    epoch: int
    granted: float
    named: bool = False
    released: float = 0.0
    sharers: list[Sharer] = field(default_factory=list)

    def holders(self) -> list[Sharer]:
        """Every network that has the address, the first one first."""
        return [Sharer(self.pool, self.driver, self.epoch), *self.sharers]

    def be_held_by(self, holders: list[Sharer]) -> None:
        """Keep only these networks; there is at least one."""
        first, *self.sharers = holders
        self.pool, self.driver, self.epoch = first.pool, first.driver, first.epoch


@dataclass
class Driver:
    """A driver name: its epochs, and those that each run of an engine began. It has no runs if
    nobody knows which engine announced itself last."""

    epochs: dict[str, int] = field(default_factory=lambda: {"local": 0, "global": 0})
    runs: dict[str, dict[str, int]] = field(default_factory=dict)
    # Runs in the order in which they last began an epoch; empty for those that nobody knows.
    order: list[str] = field(default_factory=list)

    def first_known(self) -> str:
        """The run that follows one that nobody knows, which it may be; empty if there is none."""
        return self.order[1] if self.order[:1] == [""] and len(self.order) > 1 else ""

    def note_run(self, engine: str) -> None:
        """The engine has begun the present epochs; if it ran before, that of the global space."""
        self.order = [run for run in self.order if run != engine] if engine else []
        self.order.append(engine)
        if not engine:
            self.runs.clear()
        elif engine in self.runs:
            self.runs[engine]["global"] = self.epochs["global"]
        else:
            self.runs[engine] = dict(self.epochs)
