"""An OVN Southbound as a caller uses it: what it holds of QoS, and whether northd and chassis have caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND, SOUTHBOUND
from ovnqos.ovsdb.transaction import Deadline
from ovnqos.southbound.contents_reader import QUERIES, read_contents

if TYPE_CHECKING:
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.southbound.contents import SouthboundContents

_READ_GENERATION: Final = {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]}


class Southbound:
    """An OVN Southbound, which is only read. A context manager.

    Attributes:
        remotes: where it is, as `ovn-sbctl --db` and `ovn-trace --db` take it.
    """

    def __init__(self, remotes: str | None = None, *, tls: TlsFiles | None = None, timeout_s: float = 10.0) -> None:
        """Start to connect.

        Args:
            remotes: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas between. None: OVN_SB_DB
                from the environment, else the local socket.
            tls: key and certificates, which `ssl:` needs.
            timeout_s: seconds that a question waits for the server.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        self._client = OvsdbClient(SOUTHBOUND, remotes, tls=tls, timeout_s=timeout_s)
        self.remotes = self._client.remotes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def read(self) -> SouthboundContents:
        """What it holds now, of one moment.

        Raises:
            SouthboundUnavailable: no server answers in time, or none of those that do leads its cluster.
            SchemaMismatch: the server has no Southbound, or one older than OVN 20.09.
        """
        return read_contents(self._client.query(*QUERIES))

    def await_chassis(self, generation: int, *, timeout_s: float) -> bool:
        """Wait until every chassis has installed the flows of this `nb_cfg`; raises as `read`.

        Returns:
            Whether all have, within `timeout_s` seconds.
        """
        deadline = Deadline(timeout_s)
        behind = (one.name for one in self.read().chassis if one.generation < generation)
        conditions: list[list[list[Any]]] = [[["name", "==", name], ["nb_cfg", "<", generation]] for name in behind]
        return self._client.await_none("Chassis_Private", *conditions, timeout_s=deadline.left)


class NorthboundGeneration:
    """The `nb_cfg` of a Northbound: the number by which northd and chassis say how far they are. A context manager."""

    def __init__(self, remotes: str | None = None, *, tls: TlsFiles | None = None, timeout_s: float = 10.0) -> None:
        """Start to connect; see `Southbound`."""
        self._client = OvsdbClient(NORTHBOUND, remotes, tls=tls, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self) -> int:
        """The number that was asked for last.

        Raises:
            NorthboundUnavailable: no server answers in time, or none of those that do leads its cluster.
        """
        return _generation(self._client.query(_READ_GENERATION)[0])

    def advance(self) -> int:
        """Ask northd and every chassis anew, as `ovn-nbctl --wait=hv sync` does; raises as `read`.

        Returns:
            The new number.
        """
        mutation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
        return _generation(self._client.query(mutation, _READ_GENERATION)[1])

    def await_northd(self, generation: int, *, timeout_s: float) -> bool:
        """Wait until northd says that the Southbound holds what this number stands for; raises as `read`.

        Returns:
            Whether it does, within `timeout_s` seconds.
        """
        return self._client.await_none("NB_Global", [["sb_cfg", "<", generation]], timeout_s=timeout_s)


def ask_chassis(northbound: NorthboundGeneration, southbound: Southbound, *, timeout_s: float) -> int:
    """Advance the number and wait, `timeout_s` seconds at most, until northd and every chassis have caught up.

    Who has not is seen in `Southbound.read`. Returns the number.
    """
    deadline = Deadline(timeout_s)
    generation = northbound.advance()
    if northbound.await_northd(generation, timeout_s=deadline.left):
        southbound.await_chassis(generation, timeout_s=deadline.left)
    return generation


def _generation(result: dict[str, Any]) -> int:
    rows = result.get("rows", [])
    return int(rows[0]["nb_cfg"]) if rows else 0
