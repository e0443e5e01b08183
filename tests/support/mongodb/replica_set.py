"""A real replica set, whose members can be killed, frozen, stepped down and disconnected."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

_NAME = "pyipam"
# The range of ports of outgoing connections.
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TIMEOUT_SECONDS = 60.0
_MAJORITY = {"w": "majority", "wtimeout": 2000}
_SIZES = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]
_PARAMETERS = ["diagnosticDataCollectionEnabled=false", "enableTestCommands=1"]
_PARAMETERS += ["allowMultipleArbiters=true"]

Document = dict[str, Any]
Client = MongoClient[Document]


@dataclass(frozen=True)
class Place:
    """The address of a member, and the prefix of a command that lets it run there."""

    host: str
    port: int
    enter: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def loopback_places(count: int = 3) -> list[Place]:
    """Places on the loopback interface, with ports that are free now, and that the system does not
    give to an outgoing connection while their member is down."""
    lowest = int(_OUTGOING.read_text().split()[0])
    ports = filter(_is_free, random.sample(range(lowest // 2, lowest), 100))
    return [Place("127.0.0.1", port) for port in islice(ports, count)]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


class Member:
    """A mongod, with a folder that outlives its process."""

    def __init__(
        self, program: Path, folder: Path, place: Place, arguments: Sequence[str] = ()
    ) -> None:
        self.place = place
        self.client_options: dict[str, Any] = {}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._is_frozen = False
        parameters = [part for name in _PARAMETERS for part in ("--setParameter", name)]
        where = ["--dbpath", str(folder), "--bind_ip", place.host, "--port", str(place.port)]
        # The process must not outlive the test run, however that ends.
        self._command = [*place.enter, "setpriv", "--pdeathsig", "KILL", str(program), *where]
        self._command += ["--unixSocketPrefix", str(folder), *_SIZES, *parameters, *arguments]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def can_answer(self) -> bool:
        """Whether it runs and is not frozen."""
        return self.is_running and not self._is_frozen

    def start(self) -> None:
        """Start the process; it may take a second until it answers."""
        assert not self.is_running
        self._is_frozen = False
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Suspend the process, without notice to anybody."""
        self._signal(signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Resume a frozen process."""
        self._signal(signal.SIGCONT)
        self._is_frozen = False

    def processor_seconds(self) -> float:
        """How much processor time the process has used so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """The last lines that it wrote."""
        return "\n".join((self._folder / "log").read_text(errors="replace").splitlines()[-20:])

    def wait_until_it_answers(self) -> None:
        """Wait until the started member answers."""
        wait_for(self._answers, f"member {self.place}")

    def _answers(self) -> bool:
        if not self.is_running:
            raise RuntimeError(f"the mongod at {self.place} ended:\n{self.log()}")
        try:
            self.command({"ping": 1})
        except PyMongoError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of this member only, with short timeouts."""
        client: Client = MongoClient(
            str(self.place),
            directConnection=True,
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            socketTimeoutMS=10_000,
            **self.client_options,
        )
        try:
            yield client
        finally:
            client.close()

    def command(self, command: Document) -> Document:
        """Run a command of the database `admin` on this member. Raises PyMongoError."""
        with self.client() as client:
            return client.admin.command(command)


class ReplicaSet:
    """Members that have elected a primary once `start` has returned."""

    def __init__(
        self, program: Path, folder: Path, places: Sequence[Place], arbiters: int = 0
    ) -> None:
        """Members at the places. The last `arbiters` of them are arbiters, which store nothing."""
        self._folder = folder
        self._arbiters = arbiters
        self.members = [
            Member(program, folder / str(number), place, ["--replSet", _NAME])
            for number, place in enumerate(places)
        ]

    @property
    def url(self) -> str:
        """The STORE_URL of the default database."""
        hosts = ",".join(str(member.place) for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={_NAME}"

    def url_of(self, database: str) -> str:
        """The STORE_URL of the database with that name."""
        return self.url.replace("/?", f"/{database}?")

    def start(self) -> None:
        """Start every member, initiate the replica set, and wait for a primary."""
        self.start_all()
        for member in self.members:
            member.wait_until_it_answers()
        self.members[0].command({"replSetInitiate": self._configuration()})
        self.primary()

    def start_all(self) -> None:
        """Start every member that is not running."""
        for member in self.members:
            if not member.is_running:
                member.start()

    def kill_all(self) -> None:
        """End every member at once."""
        for member in self.members:
            member.kill()

    def primary(self) -> Member:
        """The primary; wait until there is one that can write to a majority."""
        found: list[Member] = []

        def look() -> bool:
            found[:] = [member for member in self.members if self._leads(member)]
            return len(found) == 1

        wait_for(look, "a primary")
        return found[0]

    def secondaries(self) -> list[Member]:
        """The other members, running or not."""
        primary = self.primary()
        return [member for member in self.members if member is not primary]

    def step_down(self, seconds: int = 5) -> None:
        """Make the primary a secondary that is not elected again for this many seconds."""
        self.primary().command(
            {"replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 2, "force": True}
        )

    @contextmanager
    def failing(self, *commands: str, **how: Any) -> Iterator[None]:
        """Let these commands of pyipam fail on every member, while the block runs:
        closeConnection=True (nothing is done, nothing is answered), writeConcernError={...} (it
        is done, and not acknowledged), errorCode=N (it is refused)."""
        data = {"failCommands": list(commands), "appName": "pyipam", **how}
        self._set_fail_point({"mode": "alwaysOn", "data": data})
        try:
            yield
        finally:
            self._set_fail_point({"mode": "off"})

    def _set_fail_point(self, what: Document) -> None:
        for member in self.members:
            if member.can_answer:
                member.command({"configureFailPoint": "failCommand", **what})

    def repair(self) -> None:
        """Bring back every member, and wait until the set is complete."""
        for member in self.members:
            if member.is_running:
                member.thaw()
        self.start_all()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until every member is the primary or a secondary that follows it."""

        def is_whole() -> bool:
            try:
                members = self.primary().command({"replSetGetStatus": 1})["members"]
            except PyMongoError:
                return False
            return sorted(member["stateStr"] for member in members) == [
                "PRIMARY",
                *["SECONDARY"] * (len(self.members) - 1),
            ]

        wait_for(is_whole, "every member")

    def close(self) -> None:
        """Kill every member, and remove what they have stored."""
        self.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configuration(self) -> Document:
        storing = len(self.members) - self._arbiters
        members = [
            {"_id": number, "host": str(member.place), "arbiterOnly": number >= storing}
            for number, member in enumerate(self.members)
        ]
        # A lost primary is noticed after one second instead of the ten of the default, and one
        # that hangs after two. A secondary that follows another one, which is the default, stalls
        # for ten seconds or more when that one is lost.
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500}
        settings["heartbeatTimeoutSecs"] = 2
        settings["chainingAllowed"] = False
        return {"_id": _NAME, "members": members, "settings": settings}

    def _leads(self, member: Member) -> bool:
        if not member.can_answer:
            return False
        try:
            with member.client() as client:
                if not client.admin.command("hello").get("isWritablePrimary"):
                    return False
                # This fails if it has lost its majority and does not know that yet.
                if not self._arbiters:
                    client.admin.command(
                        {"appendOplogNote": 1, "data": {}, "writeConcern": _MAJORITY}
                    )
                return True
        except PyMongoError:
            return False


def wait_for(
    condition: Callable[[], bool], what: str, timeout_seconds: float = _TIMEOUT_SECONDS
) -> None:
    """Wait until the condition holds. Raises TimeoutError saying for what."""
    end = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_seconds:.0f} s in vain for {what}")
        time.sleep(0.05)
