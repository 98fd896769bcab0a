"""Kube-OVN: two VPCs that use the same addresses, three Subnets, one policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.cli.demo.scene import NODES, Expectation, Scene, ScenePod
from ovnqos.sandbox.kube_ovn import KubeOvnSubnet, kube_ovn_annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.sandbox import Attachment

_HERE, _THERE = NODES
_BACKUP, _STORAGE = {"app": "backup"}, {"role": "storage"}
_MARK, _RATE, _BURST = 0x28, 20e6, 4e6


def kube_ovn_scene() -> Scene:
    """Make it; `box` has the address that `store` has in the other VPC."""
    subnets = (
        KubeOvnSubnet("apps", cidrs=["10.16.0.0/24", "fd00:10:16::/64"]),
        KubeOvnSubnet("storage", cidrs=["10.17.0.0/24", "fd00:10:17::/64"]),
        KubeOvnSubnet("tenant", cidrs=["10.17.0.0/24"], vpc="tenant-a"),
    )

    def annotations(_name: str, attachment: Attachment) -> Mapping[str, str]:
        return kube_ovn_annotations([attachment], subnets)

    return Scene(
        title="two VPCs, three Subnets, as Kube-OVN builds them",
        folder="kube_ovn_files",
        shown=("nqos.yaml",),
        manifests=("nqos.yaml",),
        topology=(),  # told by the pods' annotations
        networks=subnets,
        pods={
            "backup": ScenePod(node=_HERE, network="apps", labels=_BACKUP),
            "web": ScenePod(node=_HERE, network="apps"),
            "store": ScenePod(node=_THERE, network="storage", labels=_STORAGE),
            "box": ScenePod(node=_THERE, network="tenant"),
            "vault": ScenePod(node=_THERE, network="tenant", labels=_STORAGE),
            "guest": ScenePod(node=_HERE, network="tenant", labels=_BACKUP),
        },
        annotations=annotations,
        expectations=(
            Expectation(sender="backup", receiver="store", tos=_MARK, rate=_RATE, burst=_BURST, measured=True),
            Expectation(sender="web", receiver="store", measured=True),
            Expectation(sender="guest", receiver="vault", tos=_MARK, rate=_RATE, burst=_BURST, measured=True),
            Expectation(sender="guest", receiver="box", measured=True),
        ),
    )
