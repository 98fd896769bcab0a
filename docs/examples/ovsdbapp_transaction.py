"""QoS rows in the transaction of a process that has an ovsdbapp connection already, as Neutron's ML2/OVN driver has.

    python ovsdbapp_transaction.py SWITCH PORT

Makes the port, if it is missing, and a limit on all it sends, in one transaction. The Northbound is $OVN_NB_DB.
"""

import os
import sys

from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.schema.ovn_northbound.impl_idl import OvnNbApiIdlImpl

from ovnqos import DesiredState, Direction, OvnQosError, Owner, QosRow, Snapshot, plan_changes
from ovnqos import match as m

OWNER = Owner("example-neutron-agent")


def connect() -> OvnNbApiIdlImpl:
    """What such a process has done at its start."""
    idl = connection.OvsdbIdl.from_server(os.environ["OVN_NB_DB"], "OVN_Northbound")
    return OvnNbApiIdlImpl(connection.Connection(idl, timeout=10))


def desired_state(switch: str, port: str) -> DesiredState:
    limit = QosRow(
        identity=f"example/{port}",
        switches=frozenset({switch}),
        direction=Direction.FROM_LPORT,
        priority=1000,
        match=m.inport(port) & m.ip,
        rate_kbps=20_000,
        burst_kbit=4_000,
    )
    return DesiredState.of(rows=[limit])


def main(switch: str, port: str) -> int:
    api = connect()
    try:
        plan = plan_changes(desired_state(switch, port), Snapshot.of(api, owner=OWNER))
        print(plan.as_diff() or "no changes")
        with api.transaction(check_error=True) as transaction:
            transaction.add(api.lsp_add(switch, port, may_exist=True))
            transaction.extend(plan.commands(api))
    except OvnQosError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        api.ovsdb_connection.stop()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python ovsdbapp_transaction.py SWITCH PORT")
    sys.exit(main(*sys.argv[1:]))
