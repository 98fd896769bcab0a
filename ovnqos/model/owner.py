"""The owner of a row: the one predicate that decides which rows are ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.errors import InvalidRow

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_OWNER = "ovnqos"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


class OwnershipScheme(StrEnum):
    """Which keys in `external_ids` name the owner and identity of a row."""

    NATIVE = "native"
    OVN_KUBERNETES = "ovn-kubernetes"


@dataclass(frozen=True, slots=True)
class Owner:
    """One writer of rows. Two instances on one Northbound need two names.

    Raises InvalidRow for a name that is not 1 to 63 letters, digits, `.`, `_` or `-`, the first and last alphanumeric.
    """

    name: str = DEFAULT_OWNER
    scheme: OwnershipScheme = OwnershipScheme.NATIVE

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise InvalidRow(
                f"owner {self.name!r}: use 1 to 63 letters, digits, '.', '_' or '-', a letter or digit at both ends"
            )

    @classmethod
    def ovn_kubernetes(cls) -> Owner:
        """The NetworkQoS controllers of ovn-kubernetes: all rows with their owner type, of any network."""
        return cls("ovn-kubernetes", OwnershipScheme.OVN_KUBERNETES)

    def owns(self, external_ids: Mapping[str, str]) -> bool:
        """Whether a row, set or group with these external_ids is this owner's to change and delete."""
        if self.scheme is OwnershipScheme.NATIVE:
            return external_ids.get(OWNER_KEY) == self.name
        return external_ids.get(UPSTREAM_TYPE_KEY) == UPSTREAM_TYPE

    @property
    def claim(self) -> tuple[str, str]:
        """The key in external_ids, and its value, by which a row is this owner's."""
        return (OWNER_KEY, self.name) if self.scheme is OwnershipScheme.NATIVE else (UPSTREAM_TYPE_KEY, UPSTREAM_TYPE)

    @staticmethod
    def is_unclaimed(external_ids: Mapping[str, str]) -> bool:
        """Whether no known controller has put its name on the row."""
        return OWNER_KEY not in external_ids and UPSTREAM_TYPE_KEY not in external_ids

    def identity(self, external_ids: Mapping[str, str]) -> str:
        """The identity of a row of this owner, the same in desired and actual rows; empty if it was removed by hand."""
        return external_ids.get(ID_KEY if self.scheme is OwnershipScheme.NATIVE else UPSTREAM_ID_KEY, "")

    def stamp(self, identity: str, external_ids: Mapping[str, str]) -> dict[str, str]:
        """The external_ids to write: those given, with owner and identity."""
        if self.scheme is OwnershipScheme.NATIVE:
            return {**external_ids, OWNER_KEY: self.name, ID_KEY: identity}
        return dict(external_ids)

    def object_of(self, external_ids: Mapping[str, str]) -> str:
        """The Kubernetes object a row was made for, as `NetworkQoS/<namespace>/<name>`; empty when there is none."""
        if self.scheme is OwnershipScheme.NATIVE:
            return external_ids.get(OBJECT_KEY, "")
        name = external_ids.get(UPSTREAM_NAME_KEY, "")
        return f"NetworkQoS/{name.replace(':', '/', 1)}" if name else ""

    @property
    def lock(self) -> str:
        """Name of the OVSDB lock that fences this owner's writers: an `<id>` of RFC 7047, letters, digits and `_`."""
        return "ovnqos_" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", self.name)


OWNER_KEY = "ovnqos.io/owner"
ID_KEY = "ovnqos.io/id"
OBJECT_KEY = "ovnqos.io/object"
RULE_KEY = "ovnqos.io/rule"
NETWORK_KEY = "ovnqos.io/network"
PORT_KEY = "ovnqos.io/port"
NEIGHBOUR_DISCOVERY = "neighbour-discovery"
"""The rule of rows that are no object's: they keep neighbour discovery from the limits of a switch."""
JOINED_KEY = "ovnqos.io/joined"
"""The rule, as `NetworkQoS/<namespace>/<name>/<index>`, whose effect a pod's row has beside the pod's own limit."""
BESIDE_KEY = "ovnqos.io/beside"
"""Identity of the row beside which a further one does the same for some of its packets."""

UPSTREAM_TYPE = "NetworkQoS"
UPSTREAM_ID_KEY = "k8s.ovn.org/id"
UPSTREAM_NAME_KEY = "k8s.ovn.org/name"
UPSTREAM_TYPE_KEY = "k8s.ovn.org/owner-type"
UPSTREAM_CONTROLLER_KEY = "k8s.ovn.org/owner-controller"
UPSTREAM_NETWORK_KEY = "k8s.ovn.org/network"
