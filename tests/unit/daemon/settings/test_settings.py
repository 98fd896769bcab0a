"""The daemon's settings: where they come from, what is refused, and how they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from netaddr import IPNetwork

from ovnqos import Owner
from ovnqos.controller import EndedLimitsMaximum, TopologyChoice, TopologyKind
from ovnqosd.settings.loading import SETTINGS, print_settings
from ovnqosd.settings.settings import ListenAddress, LogFormat, LogLevel, Mode, Settings, SettingsError
from tests.support.settings import load


def write(folder: Path, text: str) -> str:
    path = folder / "ovnqosd.yaml"
    path.write_text(text)
    return str(path)


def errors(*argv: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(argv, environ)
    return str(caught.value).splitlines()


def test_nothing_said_gives_the_defaults() -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.mode, settings.nb, settings.full_pass_seconds) == (Mode.CENTRAL, None, 300.0)
    assert (settings.lease_duration, settings.lease_renew) == (15.0, 10.0)
    assert str(settings.metrics_address) == ":9464"
    assert set(settings.origins.values()) == {"default"}


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "nb: tcp:1.1.1.1:1\nowner: file\nlease_name: file\n")
    environ = {"OVNQOSD_NB": "tcp:2.2.2.2:2", "OVNQOSD_OWNER": "environment"}
    settings = load(["--config", file, "--nb", "tcp:3.3.3.3:3"], environ)
    assert (settings.nb, settings.owner.name, settings.lease_name) == ("tcp:3.3.3.3:3", "environment", "file")
    assert [settings.origins[name] for name in ("nb", "owner", "lease_name", "mode")] == [
        "--nb",
        "OVNQOSD_OWNER",
        f"{file} line 3",
        "default",
    ]


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "owner: mine\n")
    assert load([], {"OVNQOSD_CONFIG": file}).owner == Owner("mine")


def test_every_setting_can_be_said_in_all_three_ways(tmp_path: Path) -> None:
    said = {
        "mode": "zone",
        "node": "node1",
        "zone": "rack_1.a",
        "nb": "ssl:1.1.1.1:6641",
        "private_key": "/k.pem",
        "certificate": "/c.pem",
        "ca_cert": "/ca.pem",
        "sb": "ssl:1.1.1.1:6642",
        "rule_metrics": "true",
        "ovs_rundir": "/ovs",
        "ovn_rundir": "/ovn",
        "northbound_timeout": "3.5",
        "northbound_outage": "0",
        "owner": "me",
        "topology": "kube-ovn",
        "cluster_cidrs": "10.244.0.0/16,fd00::/48",
        "kubeconfig": "/kube",
        "api_retry": "4",
        "metrics_address": "[::1]:9000",
        "metrics_certificate": "/m.pem",
        "metrics_private_key": "/mk.pem",
        "metrics_token_file": "/token",
        "full_pass_seconds": "60",
        "max_deletes": "12.5%",
        "absent_crd_seconds": "7",
        "lease_namespace": "ovn",
        "lease_name": "lease",
        "lease_duration": "30",
        "lease_renew": "20",
        "log_format": "console",
        "log_level": "debug",
        "cleanup_on_exit": "true",
    }
    assert set(said) == {setting.key for setting in SETTINGS}
    flags = [f"--{name.replace('_', '-')}" + ("" if value == "true" else f"={value}") for name, value in said.items()]
    expected = Settings(
        mode=Mode.ZONE,
        node="node1",
        zone="rack_1.a",
        nb="ssl:1.1.1.1:6641",
        private_key=Path("/k.pem"),
        certificate=Path("/c.pem"),
        ca_cert=Path("/ca.pem"),
        sb="ssl:1.1.1.1:6642",
        rule_metrics=True,
        ovs_rundir=Path("/ovs"),
        ovn_rundir=Path("/ovn"),
        northbound_timeout=3.5,
        northbound_outage=0.0,
        owner=Owner("me"),
        topology=TopologyChoice(kind=TopologyKind.KUBE_OVN),
        cluster_cidrs=(IPNetwork("10.244.0.0/16"), IPNetwork("fd00::/48")),
        kubeconfig=Path("/kube"),
        api_retry=4.0,
        metrics_address=ListenAddress("::1", 9000),
        metrics_certificate=Path("/m.pem"),
        metrics_private_key=Path("/mk.pem"),
        metrics_token_file=Path("/token"),
        full_pass_seconds=60.0,
        max_deletes=EndedLimitsMaximum(share=0.125),
        absent_crd_seconds=7.0,
        lease_namespace="ovn",
        lease_name="lease",
        lease_duration=30.0,
        lease_renew=20.0,
        log_format=LogFormat.CONSOLE,
        log_level=LogLevel.DEBUG,
        cleanup_on_exit=True,
    )
    file = write(tmp_path, "".join(f"{name}: {value!r}\n" for name, value in said.items()))
    assert load(flags) == expected
    assert load([], {f"OVNQOSD_{name.upper()}": value for name, value in said.items()}) == expected
    assert load(["--config", file]) == expected
    again = write(tmp_path, print_settings(expected))
    assert load(["--config", again]) == expected


def test_values_of_yaml_need_no_quotes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "full_pass_seconds: 60\ncleanup_on_exit: yes\nzone: null\nnode:\nlease_name: 010\n"
        "cluster_cidrs:\n- 10.0.0.0/8\n- fd00::/48\n",
    )
    settings = load(["--config", file])
    assert (settings.full_pass_seconds, settings.cleanup_on_exit) == (60.0, True)
    assert (settings.zone, settings.node, settings.lease_name) == (None, None, "010")
    assert settings.cluster_cidrs == (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/48"))


def test_a_switch_can_be_turned_off_by_flag() -> None:
    assert not load(["--no-cleanup-on-exit"], {"OVNQOSD_CLEANUP_ON_EXIT": "true"}).cleanup_on_exit


def test_variables_of_kubernetes_for_a_service_of_our_name_and_empty_ones_are_no_settings() -> None:
    address = "tcp://10.0.0.1:9464"
    environ = {
        "OVNQOSD_SERVICE_HOST": "10.0.0.1",
        "OVNQOSD_SERVICE_PORT": "9464",
        "OVNQOSD_SERVICE_PORT_METRICS": "9464",
        "OVNQOSD_PORT": address,
        "OVNQOSD_PORT_9464_TCP": address,
        "OVNQOSD_PORT_9464_TCP_ADDR": "10.0.0.1",
        "OVNQOSD_METRICS_SERVICE_HOST": "10.0.0.1",
        "OVNQOSD_METRICS_PORT_9464_TCP_PROTO": "tcp",
        "OVNQOSD_NB": "",
    }
    assert load([], environ) == Settings()


@pytest.mark.parametrize(
    ("variable", "suggestion"), [("OVNQOSD_FULL_PASS_SECOND", "OVNQOSD_FULL_PASS_SECONDS"), ("OVNQOSD_XYZZY", "")]
)
def test_unknown_variables_are_refused(variable: str, suggestion: str) -> None:
    (error,) = errors(environ={variable: "60"})
    assert error.startswith(f"{variable}: ")
    assert error.partition("did you mean ")[2].rstrip("?") == suggestion


INVALID = [
    ("--mode=both", ["'central', 'zone'"]),
    ("--full-pass-seconds=0", ["at least 1"]),
    ("--full-pass-seconds=nan", ["at least 1"]),
    ("--full-pass-seconds=inf", ["at least 1"]),
    ("--full-pass-seconds=soon", ["at least 1"]),
    ("--metrics-address=9464", [":PORT"]),
    ("--metrics-address=::1:9464", ["[IPV6]:PORT"]),
    ("--metrics-address=:70000", [":PORT"]),
    ("--node=Node_1", ["lower-case"]),
    (f"--node={'a.' * 127}a", ["lower-case"]),
    ("--zone=a/b", ["253"]),
    ("--owner=a b", ["63"]),
    ("--lease-namespace=a.b", ["63"]),
    ("--nb=", ["one line"]),
    ("--kubeconfig=", ["one line"]),
    ("--topology=auto", ["kube-ovn", "static:FILE"]),
    ("--topology=static:", ["kube-ovn", "static:FILE"]),
    ("--cluster-cidrs=10.0.0.1", ["10.0.0.1/32"]),
    ("--cluster-cidrs=10.0.0.0/8,x/9", ["x/9"]),
    ("--cluster-cidrs=10.0.0.0/255.0.0.0", ["prefix length"]),
    ("--mode=zone", ["--node", "OVNQOSD_NODE"]),
    ("--nb=tcp:1.1.1.1:1,ssl:2.2.2.2:2", ["private_key", "certificate", "ca_cert"]),
    ("--certificate=/c", ["private_key", "ca_cert"]),
    ("--lease-duration=9", ["lease_renew (10 s)", "lease_duration (9 s)"]),
    ("--lease-renew=15", ["lease_renew (15 s)", "lease_duration (15 s)"]),
]


@pytest.mark.parametrize(("flag", "words"), INVALID, ids=[flag for flag, _ in INVALID])
def test_an_invalid_value_is_one_line_that_names_the_flag(flag: str, words: list[str]) -> None:
    (error,) = errors(flag)
    assert error.startswith(f"{flag.partition('=')[0]}: ")
    assert all(word in error for word in words), error


@pytest.mark.parametrize(
    ("flag", "words"), [("--nonsense", "--nonsense"), ("--own=x", "--owner"), ("--config", "--config"), ("x", "x")]
)
def test_unknown_shortened_and_incomplete_arguments_are_refused(flag: str, words: str) -> None:
    (error,) = errors(flag)
    assert words in error


def test_all_errors_are_reported_at_once_with_the_line_of_the_file(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "log_level: loud\nlease-name: x\nowner: a\nowner: b\nfull_pass_seconds: [1, 2]\nnb: {a: b}\n? [z]\n: 1\n",
    )
    found = errors("--config", file, environ={"OVNQOSD_MODE": "x", "OVNQOSD_MOD": "zone"})
    assert sorted(error.removeprefix(f"{file} ")[:13] for error in found) == [
        "OVNQOSD_MOD: ",
        "OVNQOSD_MODE:",
        "line 1 log_le",
        "line 2 lease-",
        "line 4 owner:",
        "line 5 full_p",
        "line 6 nb: mu",
        "line 7 ?: unk",
    ]
    assert any("lease-name" in error and error.endswith("did you mean lease_name?") for error in found)
    assert any("OVNQOSD_MOD:" in error and error.endswith("did you mean OVNQOSD_MODE?") for error in found)
    assert any("owner" in error and error.endswith("line 3") for error in found)


@pytest.mark.parametrize(
    "content",
    ["- nb", "nb", "{", "a: 1\x00", "nb: a\n---\nnb: b", "[" * 5000],
    ids=["list", "text", "open", "nul", "two", "deep"],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, content: str) -> None:
    file = write(tmp_path, content)
    (error,) = errors("--config", file)
    assert error.startswith(f"{file}: ")


def test_a_file_that_is_missing_is_refused() -> None:
    assert errors(environ={"OVNQOSD_CONFIG": "/nowhere.yaml"}) == ["/nowhere.yaml: No such file or directory"]


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert load(["--config", write(tmp_path, "# nothing\n")]) == Settings()


def test_the_settings_in_force_are_printed_with_their_origins() -> None:
    settings = load(["--print-config", "--nb", "unix:/nb#1"], {"OVNQOSD_LOG_LEVEL": "debug"})
    assert settings.print_config
    lines = print_settings(settings).splitlines()
    assert "nb: unix:/nb#1  # --nb" in lines
    assert "log_level: debug  # OVNQOSD_LOG_LEVEL" in lines
    assert "full_pass_seconds: 300  # default" in lines
    assert any(line.startswith("zone: null  # default: central mode: global") for line in lines)


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        load(["--help"])
    shown = capsys.readouterr().out
    assert all(setting.flag in shown for setting in SETTINGS)


def test_the_defaults_printed_are_a_file_that_gives_the_defaults(tmp_path: Path) -> None:
    assert load(["--config", write(tmp_path, print_settings(Settings()))]) == Settings()
