"""QoS annotations of pods and namespaces: what they set, and what is told of those that set nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos.diagnostics import ObjectRef, Severity
from ovnqos.model.policy import Bandwidth
from ovnqos.model.workloads import NO_POD_QOS, PodQos, is_pod_qos_key, merge
from ovnqos.sources.pod_annotations import POD_QOS_KEYS
from ovnqos.sources.pod_annotations import read_pod_qos as read_pod_qos_of
from tests.support.invalid_documents import outline

if TYPE_CHECKING:
    from collections.abc import Mapping

POD = ObjectRef(kind="Pod", namespace="shop", name="web")
CALICO = "qos.projectcalico.org"
TEN = Bandwidth(rate_kbps=10_000)
TWENTY = Bandwidth(rate_kbps=20_000)


def read_pod_qos(annotations: Mapping[str, str], path: str = "metadata.annotations") -> PodQos:
    return read_pod_qos_of(annotations, POD, path=path)


def told(qos: PodQos) -> list[str]:
    assert all(one.object == POD for one in qos.diagnostics)
    return outline(qos.diagnostics)


def error_of(key: str) -> str:
    return f"error InvalidField metadata.annotations[{key}]"


def test_the_annotations_of_the_calico_lab_limit_both_directions() -> None:
    qos = read_pod_qos({f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/egressBandwidth": "10M"})
    assert qos == PodQos(ingress=TEN, egress=TEN)


def test_the_annotations_of_the_bandwidth_plugin_limit_both_directions() -> None:
    qos = read_pod_qos({"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "1.5M"})
    assert qos == PodQos(ingress=TEN, egress=Bandwidth(rate_kbps=1_500))


def test_a_direction_alone_leaves_the_other_without_limit() -> None:
    assert read_pod_qos({f"{CALICO}/egressBandwidth": "10M"}) == PodQos(egress=TEN)
    assert read_pod_qos({f"{CALICO}/ingressBandwidth": "10M"}) == PodQos(ingress=TEN)


def test_a_burst_is_in_kbit_rounded_up_and_goes_with_either_bandwidth() -> None:
    qos = read_pod_qos(
        {
            f"{CALICO}/ingressBandwidth": "10M",
            f"{CALICO}/ingressBurst": "2500001",
            "kubernetes.io/egress-bandwidth": "20M",
            f"{CALICO}/egressBurst": "4Mi",
        }
    )
    assert qos == PodQos(
        ingress=Bandwidth(rate_kbps=10_000, burst_kbit=2_501), egress=Bandwidth(rate_kbps=20_000, burst_kbit=4_195)
    )


def test_a_dscp_is_a_number_or_a_name_and_0_is_one() -> None:
    assert read_pod_qos({f"{CALICO}/dscp": "46"}) == PodQos(dscp=46)
    assert read_pod_qos({f"{CALICO}/dscp": "ef"}) == PodQos(dscp=46)
    unmarked = read_pod_qos({f"{CALICO}/dscp": "DF"})
    assert unmarked == PodQos(dscp=0)
    assert not unmarked.sets_nothing


def test_other_annotations_are_passed_over() -> None:
    annotations = {
        "k8s.ovn.org/pod-networks": "{}",
        "kubernetes.io/config.source": "api",
        "cni.projectcalico.org/podIP": "",
    }
    assert not any(map(is_pod_qos_key, annotations))
    assert read_pod_qos(annotations) is NO_POD_QOS
    assert NO_POD_QOS.sets_nothing


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_calicos_key_wins_over_kubernetes(direction: str) -> None:
    qos = read_pod_qos({f"kubernetes.io/{direction}-bandwidth": "20M", f"{CALICO}/{direction}Bandwidth": "10M"})
    assert (qos.ingress, qos.egress) == ((TEN, None) if direction == "ingress" else (None, TEN))
    assert told(qos) == []


@pytest.mark.parametrize("value", ["10Q", "", "-5M", "0", "1P"])
@pytest.mark.parametrize("key", [f"{CALICO}/egressBandwidth", "kubernetes.io/egress-bandwidth"])
def test_a_bandwidth_that_is_wrong_sets_no_limit_and_leaves_the_others(key: str, value: str) -> None:
    qos = read_pod_qos({key: value, f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"})
    assert (qos.ingress, qos.egress, qos.dscp) == (TEN, None, 46)
    assert told(qos) == [error_of(key)]
    assert f'"{value}"' in qos.diagnostics[0].text


def test_of_two_bandwidths_the_valid_one_holds_when_calicos_is_wrong() -> None:
    qos = read_pod_qos({f"{CALICO}/ingressBandwidth": "10Q", "kubernetes.io/ingress-bandwidth": "20M"})
    assert qos.ingress == TWENTY
    assert told(qos) == [error_of(f"{CALICO}/ingressBandwidth")]
    assert qos.diagnostics[0].hint.endswith('kubernetes.io/ingress-bandwidth applies instead: "20M"')


def test_of_two_bandwidths_the_valid_one_holds_when_kubernetes_is_wrong() -> None:
    qos = read_pod_qos({f"{CALICO}/ingressBandwidth": "10M", "kubernetes.io/ingress-bandwidth": "1P"})
    assert qos.ingress == TEN
    assert told(qos) == [error_of("kubernetes.io/ingress-bandwidth")]
    assert qos.diagnostics[0].hint.endswith(f'{CALICO}/ingressBandwidth applies instead: "10M"')


def test_two_bandwidths_that_are_both_wrong_are_both_told() -> None:
    qos = read_pod_qos({f"{CALICO}/ingressBandwidth": "10Q", "kubernetes.io/ingress-bandwidth": ""})
    assert qos.sets_nothing
    assert told(qos) == [error_of(f"{CALICO}/ingressBandwidth"), error_of("kubernetes.io/ingress-bandwidth")]
    assert not any("applies" in one.hint for one in qos.diagnostics)


def test_a_burst_without_bandwidth_is_told_and_sets_nothing() -> None:
    qos = read_pod_qos({f"{CALICO}/egressBurst": "4M", f"{CALICO}/ingressBandwidth": "10M"})
    assert (qos.ingress, qos.egress) == (TEN, None)
    assert told(qos) == [error_of(f"{CALICO}/egressBurst")]


def test_a_burst_beside_a_bandwidth_that_is_wrong_is_not_told_as_well() -> None:
    qos = read_pod_qos({f"{CALICO}/egressBurst": "4M", f"{CALICO}/egressBandwidth": "10Q"})
    assert qos.sets_nothing
    assert told(qos) == [error_of(f"{CALICO}/egressBandwidth")]


def test_a_burst_that_is_wrong_leaves_the_rate() -> None:
    qos = read_pod_qos({f"{CALICO}/egressBandwidth": "10M", f"{CALICO}/egressBurst": "0"})
    assert qos.egress == TEN
    assert told(qos) == [error_of(f"{CALICO}/egressBurst")]
    assert "the rate applies" in qos.diagnostics[0].hint


def test_a_burst_that_is_wrong_and_alone_is_told_once() -> None:
    qos = read_pod_qos({f"{CALICO}/egressBurst": "4Q"})
    assert told(qos) == [error_of(f"{CALICO}/egressBurst")]


def test_a_dscp_that_is_wrong_is_told_and_leaves_the_limits() -> None:
    qos = read_pod_qos({f"{CALICO}/dscp": "AF99", f"{CALICO}/egressBandwidth": "10M"})
    assert (qos.egress, qos.dscp) == (TEN, None)
    assert told(qos) == [error_of(f"{CALICO}/dscp")]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize("noun", ["PacketRate", "PacketBurst", "Packets", "MaxConnections", "Peakrate", "Minburst"])
def test_what_ovn_cannot_express_is_a_warning_and_the_others_hold(direction: str, noun: str) -> None:
    key = f"{CALICO}/{direction}{noun}"
    assert key in POD_QOS_KEYS
    qos = read_pod_qos({key: "100", f"{CALICO}/egressBandwidth": "10M"})
    assert qos.egress == TEN
    assert told(qos) == [f"warning UnsupportedAnnotation metadata.annotations[{key}]"]
    assert f"{direction}Bandwidth" in qos.diagnostics[0].hint


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("ingressBandwith", "ingressBandwidth"),
        ("egress-bandwidth", "egressBandwidth"),
        ("DSCP", "dscp"),
        ("ingressPktRate", "ingressPacketRate"),
        ("colour", ""),
    ],
)
def test_an_unknown_annotation_of_calicos_prefix_is_a_warning_with_the_likely_one(name: str, likely: str) -> None:
    key = f"{CALICO}/{name}"
    assert is_pod_qos_key(key)
    assert key not in POD_QOS_KEYS
    qos = read_pod_qos({key: "10M"})
    assert qos.sets_nothing
    assert told(qos) == [f"warning UnsupportedAnnotation metadata.annotations[{key}]"]
    hint = qos.diagnostics[0].hint
    assert hint == f"did you mean {likely}?" if likely else "ingressBandwidth" in hint


def test_every_known_key_is_one_to_keep() -> None:
    assert all(map(is_pod_qos_key, POD_QOS_KEYS))


def test_what_is_told_does_not_depend_on_the_order_of_the_annotations() -> None:
    annotations = {
        f"{CALICO}/{name}": "?" for name in ("zebra", "dscp", "egressBurst", "ingressPackets", "ingressBandwidth")
    }
    backwards = dict(reversed(annotations.items()))
    assert told(read_pod_qos(annotations)) == told(read_pod_qos(backwards))


def test_a_path_of_the_callers_stands_in_what_is_told() -> None:
    qos = read_pod_qos({f"{CALICO}/dscp": "64"}, path="annotations")
    assert qos.diagnostics[0].path == f"annotations[{CALICO}/dscp]"


def test_a_pod_takes_from_its_namespace_what_it_has_none_of() -> None:
    defaults = read_pod_qos(
        {f"{CALICO}/ingressBandwidth": "20M", f"{CALICO}/egressBandwidth": "20M", f"{CALICO}/dscp": "EF"}
    )
    assert merge(NO_POD_QOS, defaults) == PodQos(ingress=TWENTY, egress=TWENTY, dscp=46)
    assert merge(PodQos(egress=TEN), defaults) == PodQos(ingress=TWENTY, egress=TEN, dscp=46)
    assert merge(PodQos(dscp=0), defaults) == PodQos(ingress=TWENTY, egress=TWENTY, dscp=0)
    assert merge(PodQos(ingress=TEN), NO_POD_QOS) == PodQos(ingress=TEN)


def test_a_pods_rate_does_not_get_its_namespaces_burst() -> None:
    namespace = PodQos(egress=Bandwidth(rate_kbps=20_000, burst_kbit=4_000))
    assert merge(PodQos(egress=TEN), namespace).egress == TEN


def test_a_pod_whose_own_value_is_wrong_gets_the_default_and_the_fault_is_told() -> None:
    pod = read_pod_qos({f"{CALICO}/egressBandwidth": "10Q", f"{CALICO}/egressPackets": "5"})
    merged = merge(pod, PodQos(egress=TWENTY))
    assert merged == PodQos(egress=TWENTY, diagnostics=pod.diagnostics)
    assert [one.severity for one in merged.diagnostics] == [Severity.ERROR, Severity.WARNING]


def test_what_is_wrong_with_a_namespace_is_not_told_of_its_pods() -> None:
    namespace = read_pod_qos(
        {f"{CALICO}/egressBandwidth": "20M", f"{CALICO}/dscp": "64", f"{CALICO}/egressPackets": "5"}
    )
    merged = merge(PodQos(ingress=TEN), namespace)
    assert (merged.ingress, merged.egress, merged.dscp, merged.diagnostics) == (TEN, TWENTY, None, ())
