"""What is a remote, and what is not."""

from __future__ import annotations

import socket

import pytest

from ovnqos.errors import InvalidRemote
from ovnqos.ovsdb.remotes import NORTHBOUND, SOUTHBOUND, Remote, parse_remotes


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("unix:/var/run/ovn/ovnnb_db.sock", "unix:/var/run/ovn/ovnnb_db.sock"),
        ("tcp:127.0.0.1:6641", "tcp:127.0.0.1:6641"),
        ("ssl:nb-1.ovn.svc:6641", "ssl:nb-1.ovn.svc:6641"),
        ("tcp:[::1]:6641", "tcp:[::1]:6641"),
        ("ssl:[2001:DB8:0::1]:6641", "ssl:[2001:db8::1]:6641"),
        (" tcp:a:1 , ssl:b:65535", "tcp:a:1,ssl:b:65535"),
        ("tcp:a:1,tcp:a:1", "tcp:a:1"),
        ("unix:/a:b", "unix:/a:b"),
    ],
)
def test_what_ovn_nbctl_takes_is_a_remote(text: str, normal: str) -> None:
    assert ",".join(map(str, parse_remotes(text))) == normal


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not unix:/path, tcp:host:port or ssl:host:port"),
        ("tcp:a:1,", "is not unix:/path"),
        ("6641", "is not unix:/path"),
        ("unix", "is not unix:/path"),
        ("http:a:1", "is not unix:/path"),
        ("ptcp:6641", "is not unix:/path"),
        ("unix:ovnnb_db.sock", "absolute path"),
        ("unix:", "absolute path"),
        ("unix:/a\0", "absolute path"),
        ("tcp:a", "its port"),
        ("tcp:a:", "its port"),
        ("tcp:a:0", "its port"),
        ("tcp:a:65536", "its port"),
        ("tcp:a:٣", "its port"),
        ("tcp:a:-1", "its port"),
        ("tcp:::1:6641", "stands in brackets"),
        ("tcp:[127.0.0.1]:6641", "stands in brackets"),
        ("tcp:[a]:6641", "stands in brackets"),
        ("tcp::6641", "neither an address nor a host's name"),
        ("tcp:300.1.1.1:6641", "neither an address nor a host's name"),
        ("tcp:a b:6641", "neither an address nor a host's name"),
        ("tcp:a/b:6641", "neither an address nor a host's name"),
    ],
)
def test_what_is_no_remote_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(InvalidRemote) as caught:
        parse_remotes(text)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_default_is_the_environments_then_the_local_socket() -> None:
    assert str(*NORTHBOUND.default_remotes({})) == "unix:/var/run/ovn/ovnnb_db.sock"
    assert str(*NORTHBOUND.default_remotes({"OVN_RUNDIR": "/run/x/"})) == "unix:/run/x/ovnnb_db.sock"
    assert str(*NORTHBOUND.default_remotes({"OVN_NB_DB": "tcp:a:1", "OVN_RUNDIR": "/x"})) == "tcp:a:1"
    for variable in ("OVN_NB_DB", "OVNQOSD_NB"):
        with pytest.raises(InvalidRemote, match=rf"^{variable}: remote 'a'"):
            NORTHBOUND.default_remotes({variable: "a"})


def test_the_daemons_setting_is_the_default_where_ovns_own_variable_is_not_set() -> None:
    assert str(*NORTHBOUND.default_remotes({"OVNQOSD_NB": "tcp:a:1", "OVN_NB_DB": ""})) == "tcp:a:1"
    assert str(*NORTHBOUND.default_remotes({"OVNQOSD_NB": "tcp:a:1", "OVN_NB_DB": "tcp:b:1"})) == "tcp:b:1"


def test_a_name_is_resolved_anew_each_time_to_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["10.0.0.1"], ["10.0.0.1", "fd00::2", "10.0.0.1"]])

    def resolve(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    remote = Remote(method="ssl", host="nb", port=6641)

    assert remote.stream_names() == ("ssl:10.0.0.1:6641",)
    assert remote.stream_names() == ("ssl:10.0.0.1:6641", "ssl:[fd00::2]:6641")


def test_a_name_that_does_not_resolve_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert Remote(method="tcp", host="nb", port=1).stream_names() == ()


@pytest.mark.parametrize(
    ("environment", "remotes"),
    [
        ({}, ["unix:/var/run/ovn/ovnsb_db.sock"]),
        ({"OVN_RUNDIR": "/run/ovn/"}, ["unix:/run/ovn/ovnsb_db.sock"]),
        ({"OVN_SB_DB": "tcp:10.0.0.1:6642,tcp:10.0.0.2:6642"}, ["tcp:10.0.0.1:6642", "tcp:10.0.0.2:6642"]),
        ({"OVN_SB_DB": "", "OVN_NB_DB": "tcp:10.0.0.1:6641"}, ["unix:/var/run/ovn/ovnsb_db.sock"]),
    ],
)
def test_the_southbound_of_ovn_sbctl(environment: dict[str, str], remotes: list[str]) -> None:
    assert [str(remote) for remote in SOUTHBOUND.default_remotes(environment)] == remotes


def test_a_southbound_variable_that_is_no_remote_is_named() -> None:
    with pytest.raises(InvalidRemote, match="OVN_SB_DB: remote 'sb'"):
        SOUTHBOUND.default_remotes({"OVN_SB_DB": "sb"})
