"""Bodies of calls: what they are read into is remembered."""

import json

import pytest

from pyipam.api.requests import parse_body, remembering
from pyipam.errors import InvalidRequest


class Reading:
    """A function of a body and an engine that keeps which bodies it was asked to read."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, content: bytes, engine: str) -> tuple[str, str]:
        self.asked.append(content)
        return parse_body(content).string("PoolID"), engine


def body(pool_id: str) -> bytes:
    return json.dumps({"PoolID": pool_id}).encode()


def test_a_body_that_came_before_is_not_read_again() -> None:
    reading = Reading()
    read = remembering(reading)

    assert [read(body("a"), "engine"), read(body("b"), "engine"), read(body("a"), "engine")] == [
        ("a", "engine"),
        ("b", "engine"),
        ("a", "engine"),
    ]
    assert reading.asked == [body("a"), body("b")]


def test_the_same_body_from_another_engine_is_another_request() -> None:
    read = remembering(Reading())

    assert read(body("a"), "before") == ("a", "before")
    assert read(body("a"), "after") == ("a", "after")


def test_a_body_that_is_refused_is_refused_each_time() -> None:
    read = remembering(Reading())

    for _ in range(2):
        with pytest.raises(InvalidRequest, match="not valid JSON"):
            read(b"{", "engine")


def test_a_long_body_is_not_remembered() -> None:
    reading = Reading()
    read = remembering(reading)

    for _ in range(2):
        read(body("x" * 2_000), "engine")

    assert len(reading.asked) == 2


def test_the_number_of_bodies_that_are_remembered_is_bounded() -> None:
    reading = Reading()
    read = remembering(reading)
    bodies = [body(str(number)) for number in range(2_000)]
    for each in bodies:
        read(each, "engine")
    reading.asked.clear()

    for each in reversed(bodies):
        read(each, "engine")

    assert len(reading.asked) >= len(bodies) - 256
