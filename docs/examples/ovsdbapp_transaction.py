"""QoS rows in the transaction of a process that has an ovsdbapp connection already, as Neutron's ML2/OVN driver has.

    python ovsdbapp_transaction.py SWITCH PORT

Makes the port, if it is missing, and a limit on all it sends, in one transaction. The Northbound is $OVN_NB_DB.
"""

import argparse
import logging
import os
import sys

from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.exceptions import OvsdbAppException
from ovsdbapp.schema.ovn_northbound.impl_idl import OvnNbApiIdlImpl

from ovnqos import DesiredState, Direction, OvnQosError, Owner, QosRow, Snapshot, plan_changes
from ovnqos import match as m

OWNER = Owner("example-neutron-agent")
REMOTE = os.environ.get("OVN_NB_DB") or "unix:/var/run/ovn/ovnnb_db.sock"


def connect() -> OvnNbApiIdlImpl:
    """What such a process has done at its start."""
    try:
        idl = connection.OvsdbIdl.from_server(REMOTE, "OVN_Northbound")
    except Exception as error:  # ovsdbapp has no class of its own for this
        sys.exit(f"{REMOTE}: {error}")
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a port, and limit what it sends, in one transaction.")
    parser.add_argument("switch", metavar="SWITCH")
    parser.add_argument("port", metavar="PORT")
    options = parser.parse_args()

    logging.basicConfig(level=logging.CRITICAL)  # errors are printed below
    desired = desired_state(options.switch, options.port)
    api = connect()
    try:
        plan = plan_changes(desired, Snapshot.of(api, owner=OWNER))
        if plan.missing:
            sys.exit("\n".join(map(str, plan.missing)))
        print(plan.as_diff() or "no changes")
        with api.transaction(check_error=True) as transaction:
            transaction.add(api.lsp_add(options.switch, options.port, may_exist=True))
            transaction.extend(plan.commands(api))
    finally:
        api.ovsdb_connection.stop()


if __name__ == "__main__":
    try:
        main()
    except (OvnQosError, OvsdbAppException) as error:
        sys.exit(str(error))
