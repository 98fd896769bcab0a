"""Program QoS rows for a logical switch, without Kubernetes: mark and limit what VMs send to two networks.

    python program_rows.py SWITCH PORT...

The Northbound is $OVN_NB_DB. Run it twice: the second time there is nothing to do.
"""

import argparse
import sys

from ovnqos import AddressSet, DesiredState, Direction, Northbound, OvnQosError, Owner, PortGroup, QosRow, plan_changes
from ovnqos import match as m


def desired_state(switch: str, ports: list[str]) -> DesiredState:
    senders = PortGroup(name="example_senders", ports=frozenset(ports))
    backup = AddressSet.of("example_backup_v4", ["203.0.113.0/24", "198.51.100.7"])
    marked = QosRow(
        identity="example/backup",  # keeps the row, and its meter, when anything else about it changes
        switches=frozenset({switch}),
        direction=Direction.FROM_LPORT,
        priority=2000,
        match=m.inport.in_group(senders.name) & m.ip4.dst.in_set(backup.name),
        dscp=10,
        rate_kbps=50_000,
    )
    web = QosRow(
        identity="example/web",
        switches=frozenset({switch}),
        direction=Direction.FROM_LPORT,
        priority=1000,
        match=m.inport.in_group(senders.name) & (m.tcp.dst.isin(80, 443) | m.udp.dst.isin(443)),
        dscp=46,
    )
    return DesiredState.of(rows=[marked, web], port_groups=[senders], address_sets=[backup])


def main() -> None:
    parser = argparse.ArgumentParser(description="Mark and limit what the ports of a switch send.")
    parser.add_argument("switch", metavar="SWITCH")
    parser.add_argument("ports", metavar="PORT", nargs="+")
    options = parser.parse_args()

    desired = desired_state(options.switch, options.ports)
    with Northbound.connect(owner=Owner("example-agent")) as northbound:
        plan = plan_changes(desired, northbound.snapshot())
        for missing in plan.missing:
            print(missing, file=sys.stderr)
        print(plan.as_diff() or "no changes")
        northbound.apply(plan)


if __name__ == "__main__":
    try:
        main()
    except OvnQosError as error:
        sys.exit(str(error))
