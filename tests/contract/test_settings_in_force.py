"""The settings and the short driver names of the plugin, as Docker and the operator see them."""

from __future__ import annotations

import pytest

from tests.support.dockerd import Engine, create_network, pool_request, replay, start_container
from tests.support.program import Program


def test_default_tags_choose_the_scope_of_a_network_without_tags(
    program: Program, engine_a: Engine
) -> None:
    program.start(DEFAULT_TAGS="egress+ingress")

    assert create_network(program.driver(engine_a)).subnets == ["100.64.48.0/30"]


def test_default_tags_that_no_scope_carries_leave_all_scopes_available(
    program: Program, engine_a: Engine
) -> None:
    program.start(DEFAULT_TAGS="nobody")

    assert create_network(program.driver(engine_a)).subnets == ["100.64.0.0/30"]


def test_unmanaged_subnets_are_accepted_where_the_operator_allows_them(
    program: Program, engine_a: Engine
) -> None:
    program.start(ALLOW_UNMANAGED="true")
    driver = program.driver(engine_a)
    network = create_network(driver, "192.168.7.0/24")

    assert network.gateways == {network.pool: "192.168.7.1/24"}
    program.restart()
    assert start_container(program.driver(engine_a), network) == ["192.168.7.2/24"]


BAD_SETTINGS = {
    "DEFAULT_TAGS": ("a b", "cannot be read at 'a b'"),
    "LOG_LEVEL": ("loud", "it must be one of debug, info, warning, error"),
    "STORE_LAYOUT": ("files", "it must be one of scope, single"),
    "ALLOW_UNMANAGED": ("yes", "it must be true or false"),
    "DRIVER_ALIASES": ("Ingress=x", "'Ingress=x' is not a valid alias"),
}


def test_invalid_settings_refuse_new_pools_and_are_all_named(
    program: Program, engine_a: Engine
) -> None:
    program.start(**{name: value for name, (value, _) in BAD_SETTINGS.items()})
    driver = program.driver(engine_a)

    reply = driver.call("RequestPool", pool_request())

    assert reply.status == 503
    status = driver.get("/v1/status")
    errors = status["settings"]["errors"]
    assert errors == [each["message"] for each in status["problems"] if each["about"] == "settings"]
    assert len(errors) == len(BAD_SETTINGS)
    assert driver.get("/v1/status")["schema"]["new_pools_refused"] is True
    for error, (name, (value, why)) in zip(errors, BAD_SETTINGS.items(), strict=True):
        assert error.startswith(f"setting {name}={value!r}: ")
        assert why in error
        assert error in reply.error()
        assert program.logged("level=WARNING", f"setting {name}=")


def test_an_invalid_setting_leaves_existing_networks_working(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver)
    assert program.stop() == 0

    program.start(DEFAULT_TAGS="a b")
    driver = program.driver(engine_b)
    driver.announce()
    replay(driver, network)

    assert "setting DEFAULT_TAGS='a b'" in driver.pool_error()
    assert start_container(driver, network) == ["100.64.0.2/30"]


@pytest.mark.parametrize(
    ("level", "pools", "refusals"),
    [
        ("debug", True, True),
        ("info", True, True),
        ("warning", False, True),
        ("error", False, False),
    ],
)
def test_the_log_level_decides_what_is_logged(
    program: Program, engine_a: Engine, level: str, pools: bool, refusals: bool
) -> None:
    program.start(LOG_LEVEL=level)
    driver = program.driver(engine_a)
    create_network(driver)
    driver.pool_error("192.168.0.0/24")
    assert program.stop() == 0

    assert program.logged("pool=local/100.64.0.0/30") is pools
    assert program.logged("refused") is refusals


# Short names


def test_a_short_name_is_activated_as_a_legacy_plugin(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a, "pyipam")

    assert driver.post("Plugin.Activate").json() == {"Implements": ["IpamDriver"]}
    driver.announce()
    assert create_network(driver).subnets == ["100.64.0.0/30"]


def test_each_short_name_has_its_own_tags(program: Program, engine_a: Engine) -> None:
    program.start(DRIVER_ALIASES="pyipam= ; ingress=ingress ; db=internally_routed+!public")

    subnets = {
        name: program.driver(engine_a, name).request_pool().subnet
        for name in ("driver", "pyipam", "ingress", "db")
    }

    assert subnets == {
        "driver": "100.64.0.0/30",
        "pyipam": "100.64.0.4/30",
        "ingress": "100.64.32.0/30",
        "db": "100.64.16.0/30",
    }


def test_all_names_share_one_state(program: Program, engine_a: Engine) -> None:
    program.start(DRIVER_ALIASES="ingress=ingress")
    create_network(program.driver(engine_a, "ingress"))

    assert program.driver(engine_a).held() == ["local/100.64.32.0/30"]
    assert program.driver(engine_a, "ingress").held() == ["local/100.64.32.0/30"]


def test_the_tags_of_a_network_replace_those_of_its_driver_name(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="ingress=ingress")
    driver = program.driver(engine_a, "ingress")

    pool = driver.request_pool(options={"scope_filter_tags": "general_purpose"})

    assert pool.subnet == "100.64.64.0/30"


def test_an_explicit_subnet_need_not_match_the_tags_of_its_driver_name(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="ingress=ingress")

    pool = program.driver(engine_a, "ingress").request_pool("100.64.5.0/24")

    assert pool.subnet == "100.64.5.0/24"


def test_a_short_name_with_unknown_tags_refuses_new_pools(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="dmz=dmz")

    error = program.driver(engine_a, "dmz").pool_error()

    assert "no scope of the schema serves an IPv4 network with tags 'dmz'" in error


def test_a_short_name_gives_every_option_and_the_network_replaces_each(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="web=ingress prefix=26,72 id=shop")
    driver = program.driver(engine_a, "web")

    subnets = [
        driver.request_pool(options=None).subnet,
        driver.request_pool(v6=True, options={"prefix": "28"}).subnet,
        driver.request_pool(options={"prefix": "28"}).subnet,
    ]

    assert subnets == ["100.64.32.0/26", "fc00:f00f:2::/72", "100.64.32.64/28"]
    assert {pool["label"] for pool in driver.get("/v1/pools")} == {"shop"}


def test_a_network_of_a_short_name_with_a_length_is_replayed_as_what_it_got(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start(DRIVER_ALIASES="web=ingress prefix=26,72")
    driver = program.driver(engine_a, "web")
    driver.announce()
    networks = [create_network(driver, families=(4, 6)) for _ in range(2)]

    driver = program.driver(engine_b, "web")
    driver.announce()
    for network in reversed(networks):
        replay(driver, network)

    assert {driver.references(pool) for network in networks for pool in network.gateways} == {1}


def test_an_option_that_nobody_knows_is_noted_in_the_status(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)

    pool = driver.request_pool(options={"owner": "alice", "com.docker.network.x": "y"})

    (noted,) = driver.get("/v1/status")["ignored_options"]
    assert (noted["option"], noted["pool"]) == ("owner", pool.id)
    assert program.logged("option ignored", "option=owner")


def test_short_names_can_be_turned_off(program: Program, engine_a: Engine) -> None:
    program.start(DRIVER_ALIASES=";")
    program.driver(engine_a).announce()

    assert [path.name for path in program.sockets.iterdir()] == ["driver.sock"]


def test_an_invalid_list_of_short_names_leaves_the_default_one(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="pyipam")

    assert "is not a valid alias" in program.driver(engine_a, "pyipam").pool_error()


def test_the_status_shows_which_names_and_tags_are_in_force(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="db=x;web=y", DEFAULT_TAGS="a,b")

    settings = program.driver(engine_a).get("/v1/status")["settings"]

    assert settings["aliases"] == ["db", "web"]
    assert settings["default_tags"] == "a,b"
    assert settings["errors"] == []
    assert settings["warnings"] == []


def test_networks_of_a_short_name_that_is_dropped_are_warned_about(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="db=;web=")
    for name in ("driver", "db", "web", "web"):
        driver = program.driver(engine_a, name)
        driver.announce()
        create_network(driver)

    program.kill()
    program.start(DRIVER_ALIASES="db=")

    (warning,) = program.driver(engine_a).get("/v1/status")["settings"]["warnings"]
    assert warning.startswith("networks were created by the short name 'web', which DRIVER_ALIASES")
    assert warning.endswith("Their subnets: 100.64.0.8/30, 100.64.0.12/30")
    assert program.logged("level=WARNING", "the operator must act", warning)
    program.kill()
    program.start(DRIVER_ALIASES="db=;web=")
    assert program.driver(engine_a).get("/v1/status")["settings"]["warnings"] == []
