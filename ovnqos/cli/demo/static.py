"""An OVN of one's own: a switch and ports that a topology map tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.cli.demo.scene import NODES, Expectation, Scene, ScenePod
from ovnqos.sandbox.plain import PlainNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.sandbox import Attachment

_HERE, _THERE = NODES
_BACKUP, _STORAGE = {"app": "backup"}, {"role": "storage"}
_MARK, _RATE, _BURST = 0x28, 20e6, 4e6


def static_scene() -> Scene:
    """Make it; `appliance` has a port, and an address, that only the map tells."""
    lan = PlainNetwork(
        "lan", subnets=["10.88.0.0/24"], port_template="vm-{name}", ports={"default/appliance": "appliance-7"}
    )

    def annotations(name: str, attachment: Attachment) -> Mapping[str, str]:
        return {} if name == "appliance" else {"example.com/addresses": ",".join(attachment.addresses)}

    return Scene(
        title="one switch, with names that no CNI gave",
        folder="static_files",
        shown=("topology.yaml", "nqos.yaml"),
        manifests=("nqos.yaml",),
        topology=("--topology", "static:{folder}/topology.yaml"),
        networks=(lan,),
        pods={
            "backup": ScenePod(node=_HERE, network="lan", labels=_BACKUP),
            "web": ScenePod(node=_HERE, network="lan"),
            "store": ScenePod(node=_THERE, network="lan", labels=_STORAGE),
            "appliance": ScenePod(node=_THERE, network="lan", labels=_STORAGE),
        },
        annotations=annotations,
        expectations=(
            Expectation(sender="backup", receiver="store", tos=_MARK, rate=_RATE, burst=_BURST, measured=True),
            Expectation(sender="backup", receiver="appliance", tos=_MARK),
            Expectation(sender="backup", receiver="web"),
            Expectation(sender="web", receiver="store", measured=True),
        ),
    )
