"""The traffic matrix, Services: what goes to a load balancer's address is judged by the backend that it goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Probe, Stream, read_marks
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_matrix import LIMITED, expected_marks
from tests.lab.support_networks import DEFAULT_NETWORK, OTHER_NODE, OWN, SAME_NODE, VERSIONS
from tests.lab.support_rates import BURST_KBIT, OFFERED, SECONDS, limit, measure_rates
from tests.lab.support_results import Cell, MarkResult, RateResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.support_matrix import Destination, Matrix
    from tests.lab.support_results import Results

DSCP = 20
RATE_KBPS = 2000
PORT: Final = 6400
WHERE: Final = [(place, version) for place in (SAME_NODE, OTHER_NODE) for version in VERSIONS]
_VIRTUAL: Final = {4: "10.96.0.{}", 6: "fd00:10:96::{}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A virtual address in front of one pod: `target`, which the rule selects, or `other`, which it does not."""

    kind: str
    place: str
    version: int
    address: str
    port: int
    backend: Destination

    @property
    def selected(self) -> bool:
        """Whether the rule selects its backend."""
        return self.kind == "target"

    @property
    def cell(self) -> Cell:
        """Where it stands in the report."""
        return Cell(
            network=DEFAULT_NETWORK.title,
            place=self.place,
            version=self.version,
            scene="through a Service",
            sent=f"UDP to the Service of {self.kind}",
            outcome="backend selected" if self.selected else "backend not selected",
        )


@pytest.fixture
def services(matrix: Matrix) -> Iterator[list[Service]]:
    """A Service in front of each `target` and `other`; the two of a place and family have the same port."""
    made: list[Service] = []
    for kind in ("target", "other"):
        for number, (place, version) in enumerate(WHERE):
            backend = matrix.destination(DEFAULT_NETWORK, place, kind, version)
            assert backend is not None
            address = _VIRTUAL[version].format(10 + len(made))
            made.append(
                Service(kind=kind, place=place, version=version, address=address, port=PORT + number, backend=backend)
            )
    sandbox = matrix.cluster.sandbox
    for number, one in enumerate(made):
        sandbox.add_service(f"lab{number}", address=one.address, port=one.port, backends=[one.backend.address])
    yield made
    for number in range(len(made)):
        sandbox.remove_service(f"lab{number}")


def test_a_rule_that_selects_the_backend_matches_what_goes_to_its_service(
    matrix: Matrix, results: Results, services: list[Service]
) -> None:
    # a rule, and so a meter, for each place and family: they all run at once
    to = [{"podSelector": {"matchLabels": {"role": "target"}}}]
    rules = [
        rule(DSCP, {"to": to, "ports": udp_ports(PORT + number)}, rate_kbps=RATE_KBPS, burst_kbit=BURST_KBIT)
        for number in range(len(WHERE))
    ]
    policy = network_qos("service", rules, namespace=OWN, pods=LIMITED, networks=[DEFAULT_NETWORK.selector])
    matrix.cluster.apply(policy)
    sandbox, sender = matrix.cluster.sandbox, matrix.sender("sender")
    results.check_marks(
        MarkResult(
            cell=service.cell,
            expected=expected_marks(DSCP if service.selected else 0, service.place),
            seen=read_marks(
                sandbox,
                Probe(
                    sender=sender,
                    receiver=service.backend.receiver,
                    address=service.address,
                    balanced_to=service.backend.address,
                    protocol="udp",
                    port=service.port,
                ),
            ),
        )
        for service in services
    )
    offered = OFFERED * RATE_KBPS * 1000
    streams = [
        Stream(
            sender=sender,
            receiver=service.backend.receiver,
            address=service.address,
            balanced_to=service.backend.address,
            port=service.port,
            offered=offered,
            seconds=SECONDS,
            payload=1200,
        )
        for service in services
    ]
    results.check_rates(
        RateResult(
            cell=service.cell,
            expected=limit(RATE_KBPS) if service.selected else offered,
            seen=one.bits_per_second,
        )
        for service, one in zip(services, measure_rates(sandbox, streams), strict=True)
    )
