"""Compile NetworkQoS documents and apply them, as a controller of your own would.

    python compile_policies.py [--dry-run] MANIFEST...

The manifests hold all NetworkQoS, Pod, Namespace and NetworkAttachmentDefinition objects of the cluster, e.g. what
`kubectl get networkqoses,pods,namespaces,net-attach-def -A -o yaml` prints. The Northbound is $OVN_NB_DB.
"""

import argparse
import sys

from ovnqos import (
    Compiler,
    Northbound,
    OvnKubernetesTopology,
    OvnQosError,
    Owner,
    load_manifests,
    plan_changes,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compile NetworkQoS documents and apply them.")
    parser.add_argument("manifests", metavar="MANIFEST", nargs="+")
    parser.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
    options = parser.parse_args()

    topology = OvnKubernetesTopology()  # zone_nodes={"node1"} where each node has its own Northbound
    owner = Owner("example-controller")  # its rows, and only its rows, are compared and changed
    # an invalid object is an object, too: its rows stay as they are, so a typo does not end a limit
    compiler = Compiler.of(load_manifests(options.manifests).objects, topology, owner)
    for diagnostic in compiler.all_diagnostics():
        print(diagnostic, file=sys.stderr)
    with Northbound.connect(owner=owner) as northbound:
        plan = plan_changes(compiler.desired(), northbound.snapshot())
        for diagnostic in plan.incomplete:  # e.g. pods that were forgotten: what depends on them stays as it is
            print(diagnostic, file=sys.stderr)
        print(plan.as_diff() or "no changes")
        if not options.dry_run:
            plan.check(max_deletes=0.3)  # raises UnsafePlan when more than 30 % of all limits of pods would end
            northbound.apply(plan)


if __name__ == "__main__":
    try:
        main()
    except OvnQosError as error:
        sys.exit(str(error))
