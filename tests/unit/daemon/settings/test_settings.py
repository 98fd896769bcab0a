"""The daemon's settings: where they come from, what is refused, and how they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from netaddr import IPNetwork

from ovnqos import TopologyChoice, TopologyKind
from ovnqosd.settings.setting_values import ListenAddress
from ovnqosd.settings.settings import LogFormat, LogLevel, Mode, Settings, SettingsError, all_settings
from ovnqosd.settings.settings_sources import parse, render


def write(folder: Path, text: str) -> str:
    path = folder / "ovnqosd.yaml"
    path.write_text(text)
    return str(path)


def faults(*argv: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(argv, environ or {})
    return str(caught.value).splitlines()


def test_nothing_said_gives_the_defaults() -> None:
    settings = parse([], {})
    assert settings == Settings()
    assert (settings.mode, settings.nb, settings.full_pass_seconds) == (Mode.CENTRAL, None, 300.0)
    assert (settings.lease_duration, settings.lease_renew) == (15.0, 10.0)
    assert str(settings.metrics_address) == ":9464"
    assert set(settings.origins.values()) == {"default"}


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "nb: tcp:1.1.1.1:1\nowner: file\nlease_name: file\n")
    environ = {"OVNQOSD_NB": "tcp:2.2.2.2:2", "OVNQOSD_OWNER": "environment"}
    settings = parse(["--config", file, "--nb", "tcp:3.3.3.3:3"], environ)
    assert (settings.nb, settings.owner, settings.lease_name) == ("tcp:3.3.3.3:3", "environment", "file")
    assert [settings.origins[name] for name in ("nb", "owner", "lease_name", "mode")] == [
        "--nb",
        "OVNQOSD_OWNER",
        f"{file} line 3",
        "default",
    ]


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "owner: mine\n")
    assert parse([], {"OVNQOSD_CONFIG": file}).owner == "mine"


def test_every_setting_can_be_said_in_all_three_ways(tmp_path: Path) -> None:
    said = {
        "mode": "zone",
        "node": "node1",
        "zone": "rack_1.a",
        "nb": "ssl:1.1.1.1:6641",
        "private_key": "/k.pem",
        "certificate": "/c.pem",
        "ca_cert": "/ca.pem",
        "northbound_timeout": "3.5",
        "northbound_outage": "0",
        "owner": "me",
        "topology": "kube-ovn",
        "cluster_cidrs": "10.244.0.0/16,fd00::/48",
        "kubeconfig": "/kube",
        "api_retry": "4",
        "metrics_address": "[::1]:9000",
        "full_pass_seconds": "60",
        "absent_crd_seconds": "7",
        "lease_namespace": "ovn",
        "lease_name": "lease",
        "lease_duration": "30",
        "lease_renew": "20",
        "log_format": "console",
        "log_level": "debug",
        "cleanup_on_exit": "true",
    }
    assert set(said) == {setting.name for setting in all_settings()}
    flags = [
        f"--{name.replace('_', '-')}" + ("" if name == "cleanup_on_exit" else f"={value}")
        for name, value in said.items()
    ]
    expected = Settings(
        mode=Mode.ZONE,
        node="node1",
        zone="rack_1.a",
        nb="ssl:1.1.1.1:6641",
        private_key=Path("/k.pem"),
        certificate=Path("/c.pem"),
        ca_cert=Path("/ca.pem"),
        northbound_timeout=3.5,
        northbound_outage=0.0,
        owner="me",
        topology=TopologyChoice(kind=TopologyKind.KUBE_OVN),
        cluster_cidrs=(IPNetwork("10.244.0.0/16"), IPNetwork("fd00::/48")),
        kubeconfig=Path("/kube"),
        api_retry=4.0,
        metrics_address=ListenAddress("::1", 9000),
        full_pass_seconds=60.0,
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
    assert parse(flags, {}) == expected
    assert parse([], {f"OVNQOSD_{name.upper()}": value for name, value in said.items()}) == expected
    assert parse(["--config", file], {}) == expected
    again = write(tmp_path, render(expected))
    assert parse(["--config", again], {}) == expected


def test_values_of_yaml_need_no_quotes(tmp_path: Path) -> None:
    file = write(tmp_path, "full_pass_seconds: 60\ncleanup_on_exit: yes\nzone: null\n")
    settings = parse(["--config", file], {})
    assert (settings.full_pass_seconds, settings.cleanup_on_exit, settings.zone) == (60.0, True, None)


def test_a_switch_can_be_turned_off_by_flag() -> None:
    assert not parse(["--no-cleanup-on-exit"], {"OVNQOSD_CLEANUP_ON_EXIT": "true"}).cleanup_on_exit


def test_variables_of_kubernetes_for_a_service_of_our_name_and_empty_ones_are_no_settings() -> None:
    environ = {"OVNQOSD_SERVICE_HOST": "10.0.0.1", "OVNQOSD_PORT": "tcp://10.0.0.1:9464", "OVNQOSD_NB": ""}
    assert parse([], environ) == Settings()


_LISTEN = "give :PORT, IPV4:PORT or [IPV6]:PORT"
_CIDRS = "give CIDRs with commas, e.g. 10.244.0.0/16,fd00:10:244::/48"
_GIVE_UP = "an elected process must give up (lease_renew, {} s) before the others take over (lease_duration, {} s)"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--mode=both", "'both': give central or zone"),
        ("--full-pass-seconds=0", "'0': give a number of seconds, at least 1"),
        ("--full-pass-seconds=nan", "'nan': give a number of seconds, at least 1"),
        ("--metrics-address=9464", f"'9464': {_LISTEN}"),
        ("--metrics-address=::1:9464", f"'::1:9464': {_LISTEN}"),
        ("--metrics-address=:70000", f"':70000': {_LISTEN}"),
        ("--node=Node_1", "'Node_1': give a name of Kubernetes: small letters, digits, '-' and '.'"),
        ("--zone=a/b", "'a/b': give up to 253 letters, digits, '-', '_' and '.', the last a letter or digit"),
        ("--owner=a b", "'a b': use 1 to 63 letters, digits, '.', '_' or '-', a letter or digit at both ends"),
        ("--lease-namespace=a.b", "'a.b': give the name of a namespace: up to 63 small letters, digits and '-'"),
        ("--nb=", "'': give one line of text"),
        ("--topology=auto", "'auto': give ovn-kubernetes, kube-ovn or static:FILE, where FILE is a topology map"),
        ("--cluster-cidrs=10.0.0.1", f"'10.0.0.1': {_CIDRS}"),
        ("--cluster-cidrs=10.0.0.0/8,x/9", f"'10.0.0.0/8,x/9': {_CIDRS}"),
        (
            "--mode=zone",
            "zone mode needs the name of the node: --node, or OVNQOSD_NODE from the pod's field spec.nodeName",
        ),
        ("--nb=tcp:1.1.1.1:1,ssl:2.2.2.2:2", "ssl: needs private_key, certificate and ca_cert"),
        ("--certificate=/c", "the three TLS files go together: give private_key and ca_cert too"),
        ("--lease-duration=9", _GIVE_UP.format(10, 9)),
        ("--lease-renew=15", _GIVE_UP.format(15, 15)),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_setting_and_its_origin(flag: str, message: str) -> None:
    origin = flag.partition("=")[0]
    name = origin.removeprefix("--").replace("-", "_")
    assert faults(flag) == [f"{name} (from {origin}): {message}"]


@pytest.mark.parametrize("flag", ["--nonsense", "--own=x"])
def test_unknown_and_shortened_flags_are_refused(flag: str) -> None:
    assert faults(flag) == [f"unrecognized arguments: {flag}"]


def test_all_faults_are_told_at_once_with_the_line_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "log_level: loud\nlease-name: x\nowner: a\nowner: b\nfull_pass_seconds: [1]\n")
    assert faults("--config", file, environ={"OVNQOSD_MODE": "x"}) == [
        f"owner ({file} line 4): is in line 3 already",
        f"lease-name ({file} line 2): no such setting; did you mean lease_name?",
        "mode (from OVNQOSD_MODE): 'x': give central or zone",
        f"full_pass_seconds (from {file} line 5): '[1]': give a number of seconds, at least 1",
        f"log_level (from {file} line 1): 'loud': give debug or info or warning or error",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("- nb", "not a mapping from settings to values"), ("{", "not YAML"), ("a: 1\x00", "not YAML")],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = write(tmp_path, content)
    (fault,) = faults("--config", file)
    assert fault.startswith(f"{file} (from --config): {message}")


def test_a_file_that_is_missing_is_refused() -> None:
    assert faults(environ={"OVNQOSD_CONFIG": "/nowhere.yaml"}) == [
        "/nowhere.yaml (from OVNQOSD_CONFIG): No such file or directory"
    ]


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert parse(["--config", write(tmp_path, "# nothing\n")], {}) == Settings()


def test_the_settings_in_force_are_printed_with_their_origins() -> None:
    settings = parse(["--print-config", "--nb", "unix:/nb#1"], {"OVNQOSD_LOG_LEVEL": "debug"})
    assert settings.print_config
    lines = render(settings).splitlines()
    assert "nb: unix:/nb#1  # --nb" in lines
    assert "log_level: debug  # OVNQOSD_LOG_LEVEL" in lines
    assert "full_pass_seconds: 300  # default" in lines
    assert any(line.startswith("zone: null  # default: central mode: global") for line in lines)


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse(["--help"], {})
    shown = capsys.readouterr().out
    assert all(setting.flag in shown for setting in all_settings())


def test_the_defaults_printed_are_a_file_that_gives_the_defaults(tmp_path: Path) -> None:
    assert parse(["--config", write(tmp_path, render(Settings()))], {}) == Settings()
