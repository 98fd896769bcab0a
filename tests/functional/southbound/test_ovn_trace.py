"""ovn-trace run on a real Southbound: what it is asked, what it answers, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos import TlsFiles
from ovnqos.controller import SouthboundUnavailable
from ovnqos.sandbox import Programs, SouthboundServer
from ovnqos.southbound.ovn_trace import OvnTrace, TraceFailed
from ovnqos.southbound.trace import Meter, Trace
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.pki import Pki

FLOW: Final = (
    'inport == "p" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && '
    "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.dst == 80"
)
ELSEWHERE: Final = FLOW.replace('"p"', '"elsewhere"')
UNKNOWN: Final = FLOW.replace('"p"', '"nobody"')


@pytest.fixture(scope="module")
def ovn() -> Iterator[TracedOvn]:
    """A switch `lan` with the ports p and q, a row in each direction and two that OVN cannot parse."""
    with TracedOvn() as started:
        started.add_switch("lan", {"p": "0a:00:00:00:00:01", "q": "0a:00:00:00:00:02"})
        started.add_switch("away", {"elsewhere": "0a:00:00:00:00:01"})
        started.add_row("lan", "from-lport", 20, 'inport == "p" &&\n  tcp', "bandwidth:rate=500")
        started.add_row("lan", "to-lport", 10, "ip4", "action:dscp=46", "bandwidth:rate=20000", "bandwidth:burst=100")
        started.add_row("lan", "to-lport", 30, "ip4.dst == $missing", "action:dscp=1")
        started.add_row("away", "to-lport", 30, "!tcp", "action:dscp=1")
        yield started


@pytest.fixture(params=["each by itself", "together"])
def tracer(ovn: TracedOvn, request: pytest.FixtureRequest) -> Iterator[OvnTrace]:
    """An ovn-trace on it, in both ways of use."""
    tracer = ovn.tracer()
    if request.param == "together":
        with tracer:
            yield tracer
    else:
        yield tracer


def test_a_packet_shows_its_mark_its_limit_and_what_does_not_parse(tracer: OvnTrace) -> None:
    trace = tracer.run("lan", FLOW)
    assert trace.dscp == 46
    assert trace.meter == Meter(rate_kbps=20_000, burst_kbit=100)
    assert list(trace.faults) == ["!tcp", "ip4.dst == $missing"]
    assert "positively" in trace.faults["!tcp"]
    assert {hit.match for hit in trace.hits} == {'inport == "p" &&\n  tcp', "ip4"}
    assert trace.hits[0].meter == Meter(rate_kbps=500)
    assert trace.leaves


def test_a_packet_that_no_row_takes_shows_nothing(tracer: OvnTrace) -> None:
    trace = tracer.run("away", ELSEWHERE)
    assert (trace.dscp, trace.meter, trace.hits) == (None, None, ())


@pytest.mark.parametrize(
    ("switch", "flow", "words"),
    [
        ("nowhere", FLOW, 'unknown datapath "nowhere"'),
        ("lan", "colour == 3", "`colour' expecting field name"),
        ("lan", "", "error parsing flow"),
        ("lan", "ip4.dst == 10.0.0.2", "does not specify ingress port"),
        ("lan", ELSEWHERE, "does not specify ingress port"),
    ],
)
def test_what_it_cannot_trace_is_told(tracer: OvnTrace, switch: str, flow: str, words: str) -> None:
    with pytest.raises(TraceFailed) as caught:
        tracer.run(switch, flow)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "$missing" not in str(caught.value)


def test_a_packet_after_one_that_could_not_be_traced_is_traced(tracer: OvnTrace) -> None:
    first = tracer.run("lan", FLOW)
    with pytest.raises(TraceFailed, match=r"nobody: unknown logical port|does not specify ingress port"):
        tracer.run("lan", UNKNOWN)
    again = tracer.run("lan", FLOW)
    assert (again.hits, again.faults) == (first.hits, first.faults)


def test_by_itself_each_run_sees_the_southbound_as_it_is_and_together_all_see_one(ovn: TracedOvn) -> None:
    def first(trace: Trace) -> str:
        return trace.hits[0].match

    alone = ovn.tracer()
    with ovn.tracer() as together:
        before = [first(alone.run("lan", FLOW)), first(together.run("lan", FLOW))]
        ovn.add_row("lan", "from-lport", 99, "tcp.dst == 80", "bandwidth:rate=7")
        ovn.central.nbctl("--wait=sb", "sync")
        after = [first(alone.run("lan", FLOW)), first(together.run("lan", FLOW))]
    ovn.central.nbctl("--wait=sb", "qos-del", "lan", "from-lport", "99", "tcp.dst == 80")
    assert before[0] == before[1] == after[1]
    assert after[0] == "tcp.dst == 80"


def _processes_of(remote: str) -> list[int]:
    """The running ovn-traces of a Southbound."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--db={remote}".encode() in words and any(word.endswith(b"ovn-trace") for word in words):
            found.append(int(folder.name))
    return found


def test_nothing_is_left_running_or_lying_about(
    ovn: TracedOvn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ovn.tracer() as tracer:
        tracer.run("lan", FLOW)
        assert len(_processes_of(ovn.central.southbound.remote)) == 1
        assert len(list(tmp_path.iterdir())) == 1
    assert _processes_of(ovn.central.southbound.remote) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("remote", ["unix:/nowhere/sb.sock", "tcp:127.0.0.1:1", "unheard-of"])
def test_a_southbound_that_is_not_there(remote: str, together: bool) -> None:
    tracer = OvnTrace(remote, timeout_s=10)
    if together:
        tracer.__enter__()
    with pytest.raises(SouthboundUnavailable, match=remote):
        tracer.run("lan", FLOW)
    tracer.__exit__()


@pytest.mark.parametrize("together", [False, True])
def test_a_southbound_that_does_not_answer(together: bool) -> None:
    with SouthboundServer() as server:
        tracer = OvnTrace(server.remote, timeout_s=0.5)
        if together:
            tracer.__enter__()
        server.freeze()
        with pytest.raises(SouthboundUnavailable, match=r"no answer within 0\.5 s"):
            tracer.run("lan", FLOW)
        server.thaw()
        tracer.__exit__()
        assert _processes_of(server.remote) == []


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(TraceFailed, match=r"no-such-trace: No such file.*ovn-common"):
        OvnTrace("unix:/x", program=["no-such-trace"]).run("lan", FLOW)


def test_tls(pki: Pki) -> None:
    client = pki.client("controller")
    files = TlsFiles(private_key=client.private_key, certificate=client.certificate, ca_certificate=client.authority)
    with SouthboundServer(
        listen=["pssl:0:127.0.0.1"], tls_options=pki.server("sb").options, programs=Programs()
    ) as server:
        with pytest.raises(TraceFailed, match="unknown datapath"):
            OvnTrace(server.remotes[1], tls=files).run("lan", FLOW)
        with pytest.raises(SouthboundUnavailable):
            OvnTrace(server.remotes[1]).run("lan", FLOW)
