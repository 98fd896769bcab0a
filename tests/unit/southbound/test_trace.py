"""What is read off ovn-trace's own words, as OVN 23.03 and 25.03 were seen to print them."""

from __future__ import annotations

import pytest

from ovnqos.explain.pipeline import QOS_STAGES, PipelineVersion
from ovnqos.southbound.trace import FlowEffect, Meter, read_faults, read_trace

HEADER = "# tcp,reg14=0x2,nw_src=10.0.1.2,nw_dst=10.0.1.3,tp_dst=80\n\n"
SPLIT = (
    HEADER
    + r"""ingress(dp="n1", inport="p12")
------------------------------
 0. ls_in_check_port_sec (northd.c:8432): 1, priority 50, uuid e5012439
    reg0[15] = check_in_port_sec();
    next;
 9. ls_in_qos_mark (northd.c:7022): inport == "p12", priority 1000, uuid 510056c9
    ip.dscp = 3;
    next;
25. ls_in_l2_lkup (northd.c:9122): eth.dst == 00:00:00:00:01:03, priority 50, uuid 761e9675
    outport = "p13";
    output;

egress(dp="n1", inport="p12", outport="p13")
--------------------------------------------
 5. ls_out_qos_mark (northd.c:7022): inport == "p12" && ip4.dst == 10.0.0.0/8, priority 2000, uuid 8ffa01a0
    ip.dscp = 0;
    next;
 6. ls_out_qos_meter (northd.c:7053): inport == "p12" &&
  ip4.dst == 10.0.0.0/8, priority 2000, uuid a4b8762d
    set_meter(4294967295, 2000);
    next;
 9. ls_out_apply_port_sec (northd.c:5777): 1, priority 0, uuid 876039d4
    output;
    /* output to "p13", type "patch" */
"""
)
NEXT_SWITCH = r"""
ingress(dp="r", inport="rn1")
-----------------------------
 0. lr_in_admission (northd.c:11554): inport == "rn1", priority 50, uuid 3b62690e
    next;

egress(dp="n2", inport="n2r", outport="p23")
--------------------------------------------
 5. ls_out_qos_mark (northd.c:7022): ip4, priority 1000, uuid e1b9d048
    ip.dscp = 7;
    next;
 6. ls_out_qos_meter (northd.c:7053): ip4, priority 1000, uuid 6ddf8483
    set_meter(77);
    next;
"""
BACK_AGAIN = NEXT_SWITCH.replace('"n2"', '"n1"')
JOINED = (
    HEADER
    + r"""ingress(dp="n1", inport="p1")
-----------------------------
11. ls_in_qos (northd.c:7708): inport == "p1", priority 6, uuid 907d105a
    set_meter(22);
    ip.dscp = 46;
    next;
28. ls_in_l2_lkup (northd.c:5814): 1, priority 0, uuid 44cce0be
    drop;
"""
)
MULTICAST = (
    HEADER
    + r"""ingress(dp="n1", inport="p1")
-----------------------------
26. ls_in_l2_unknown (northd.c:8377): outport == "none", priority 50, uuid 2d7a8582
    outport = "_MC_unknown";
    output;

multicast(dp="n1", mcgroup="_MC_unknown")
-----------------------------------------

    egress(dp="n1", inport="p1", outport="p2")
    ------------------------------------------
         5. ls_out_qos_mark (northd.c:7022): inport == "p1", priority 6, uuid 8b4e4d31
            ip.dscp = 1;
            next;

    egress(dp="n1", inport="p1", outport="p3")
    ------------------------------------------
         5. ls_out_qos_mark (northd.c:7022): outport == "p3", priority 9, uuid 8b4e4d32
            ip.dscp = 2;
            next;
"""
)
CONNECTION = SPLIT.replace(
    " 9. ls_in_qos_mark",
    "\nct_next(ct_state=est|trk /* default (use --ct to customize) */)\n" + "-" * 63 + "\n 9. ls_in_qos_mark",
)


def test_two_tables_are_read_apart() -> None:
    trace = read_trace(SPLIT, {})
    assert trace is not None
    assert trace.hits == (
        FlowEffect(stage="ls_in_qos_mark", match='inport == "p12"', priority=1000, dscp=3, meter=None),
        FlowEffect(
            stage="ls_out_qos_mark", match='inport == "p12" && ip4.dst == 10.0.0.0/8', priority=2000, dscp=0, meter=None
        ),
        FlowEffect(
            stage="ls_out_qos_meter",
            match='inport == "p12" &&\n  ip4.dst == 10.0.0.0/8',
            priority=2000,
            dscp=None,
            meter=Meter(rate_kbps=4_294_967_295, burst_kbit=2000),
        ),
    )
    assert (trace.dscp, trace.meter) == (0, Meter(rate_kbps=4_294_967_295, burst_kbit=2000))
    assert trace.leaves
    assert trace.text == SPLIT


def test_one_table_sets_both() -> None:
    trace = read_trace(JOINED, {})
    assert trace is not None
    assert trace.hits == (
        FlowEffect(stage="ls_in_qos", match='inport == "p1"', priority=6, dscp=46, meter=Meter(rate_kbps=22)),
    )
    assert not trace.leaves


@pytest.mark.parametrize("later", [NEXT_SWITCH, BACK_AGAIN], ids=["another switch", "the same switch again"])
def test_only_the_first_pass_through_the_switch_counts(later: str) -> None:
    first, both = read_trace(SPLIT, {}), read_trace(SPLIT + later, {})
    assert first is not None
    assert both is not None
    assert both.hits == first.hits


def test_of_a_multicast_the_first_copy_counts() -> None:
    trace = read_trace(MULTICAST, {})
    assert trace is not None
    assert [(hit.priority, hit.dscp) for hit in trace.hits] == [(6, 1)]
    assert trace.leaves


def test_connection_tracking_does_not_end_a_pass() -> None:
    plain, tracked = read_trace(SPLIT, {}), read_trace(CONNECTION, {})
    assert plain is not None
    assert tracked is not None
    assert tracked.hits == plain.hits


@pytest.mark.parametrize(
    "refusal", ["", 'unknown datapath "n9"\n', "error parsing flow: Syntax error at `foo'.\n", HEADER]
)
def test_a_refusal_is_no_trace(refusal: str) -> None:
    assert read_trace(refusal, {}) is None


def test_matches_that_do_not_parse_are_found_among_other_messages() -> None:
    log = (
        "ovntrace|WARN|nonsense: expecting an address\n"
        "ovntrace|WARN|ip4.dst == fd00::2: parsing expression failed (128-bit constant is not compatible (…).)\n"
        'ovntrace|WARN|inport == "p1" &&\n  ip4.src == $nope: parsing expression failed (Syntax error at `$nope\'.)\n'
        "ovntrace|WARN|p9: unknown logical port\n"
    )
    assert read_faults(log) == {
        'inport == "p1" &&\n  ip4.src == $nope': "Syntax error at `$nope'.",
        "ip4.dst == fd00::2": "128-bit constant is not compatible (…).",
    }
    trace = read_trace(JOINED, read_faults(log))
    assert trace is not None
    assert trace.faults == read_faults(log)


@pytest.mark.parametrize(
    ("stage", "version"),
    [
        ("ls_in_qos_mark", PipelineVersion.SPLIT),
        ("ls_out_qos_meter", PipelineVersion.SPLIT),
        ("ls_in_qos", PipelineVersion.JOINED),
        ("ls_out_qos", PipelineVersion.JOINED),
        ("ls_in_acl", None),
    ],
)
def test_a_stage_tells_the_pipeline_version(stage: str, version: PipelineVersion | None) -> None:
    assert QOS_STAGES.get(stage) is version
