"""Compile NetworkQoS documents and apply them, as a controller of your own would.

    python compile_policies.py MANIFEST... [--dry-run]

The manifests hold NetworkQoS, Pod, Namespace and NetworkAttachmentDefinition objects, e.g. what
`kubectl get networkqoses,pods,namespaces,net-attach-def -A -o yaml` prints. The Northbound is $OVN_NB_DB.
"""

import sys

from ovnqos import Compiler, Northbound, OvnQosError, Owner, Topology, load_manifests, plan_changes


def main(arguments: list[str]) -> int:
    dry_run = "--dry-run" in arguments
    owner = Owner("example-controller")  # its rows, and only its rows, are compared and changed
    try:
        manifests = load_manifests([path for path in arguments if path != "--dry-run"])
        topology = Topology.ovn_kubernetes()  # zone_nodes={"node1"} where each node has its own Northbound
        compiler = Compiler(topology, owner)
        for one in (
            *(*manifests.namespaces, *manifests.network_attachment_definitions, *manifests.pods),
            *(*manifests.policies, *manifests.invalid),  # the rows of an invalid object stay as they are
        ):
            compiler.apply(one)
        for diagnostic in compiler.all_diagnostics():
            print(diagnostic, file=sys.stderr)
        with Northbound.connect(owner=owner) as northbound:
            plan = plan_changes(compiler.desired(), northbound.snapshot())
            print(plan.as_diff() or "no changes")
            if not dry_run:
                plan.check(max_deletes=0.3)  # UnsafePlan when more than 30 % of our rows would go
                northbound.apply(plan)
    except OvnQosError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
