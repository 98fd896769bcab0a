"""An OVN Southbound as a caller uses it: what it holds of QoS, and whether northd and chassis have caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.protocol import Deadline
from ovnqos.ovsdb.remotes import NORTHBOUND, SOUTHBOUND
from ovnqos.plan.render_operations import ADVANCE_SEQUENCE
from ovnqos.southbound.contents import QUERIES, read_contents

if TYPE_CHECKING:
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.southbound.contents import SouthboundContents

_READ_NB_CFG: Final = {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]}


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
        """Read what it holds, at one moment.

        Raises:
            SouthboundUnavailable: no server answers in time, or none that answers leads its cluster.
            SchemaMismatch: the server has no Southbound, or one older than OVN 20.09.
        """
        return read_contents(self._client.query(*QUERIES))

    def await_chassis(self, nb_cfg: int, *, timeout_s: float) -> bool:
        """Wait until every chassis has installed the flows of this `nb_cfg`; raises as `read`.

        Returns:
            Whether all have, within `timeout_s` seconds.
        """
        deadline = Deadline(timeout_s)
        behind = (one.name for one in self.read().chassis if one.nb_cfg < nb_cfg)
        conditions: list[list[list[Any]]] = [[["name", "==", name], ["nb_cfg", "<", nb_cfg]] for name in behind]
        return self._client.await_none("Chassis_Private", *conditions, timeout_s=deadline.left)


class NorthboundSequence:
    """The sequence number (`nb_cfg`) of a Northbound, by which northd and chassis report progress.

    A context manager.
    """

    def __init__(self, remotes: str | None = None, *, tls: TlsFiles | None = None, timeout_s: float = 10.0) -> None:
        """Start to connect; see `Southbound`."""
        self._client = OvsdbClient(NORTHBOUND, remotes, tls=tls, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self) -> int:
        """Return the current number.

        Raises:
            NorthboundUnavailable: no server answers in time, or none that answers leads its cluster.
        """
        return _nb_cfg(self._client.query(_READ_NB_CFG)[0])

    def advance(self) -> int:
        """Increment the number, as `ovn-nbctl --wait=hv sync` does; raises as `read`.

        Returns:
            The new number.
        """
        return _nb_cfg(self._client.query(ADVANCE_SEQUENCE, _READ_NB_CFG)[1])

    def await_northd(self, nb_cfg: int, *, timeout_s: float) -> bool:
        """Wait until northd has processed this number; raises as `read`.

        Returns:
            Whether it does, within `timeout_s` seconds.
        """
        return self._client.await_none("NB_Global", [["sb_cfg", "<", nb_cfg]], timeout_s=timeout_s)


def sync_chassis(northbound: NorthboundSequence, southbound: Southbound, *, timeout_s: float) -> int:
    """Increment the sequence number; wait, at most `timeout_s` seconds, until northd and every chassis have caught up.

    `Southbound.read` shows which have not. Returns the number.
    """
    deadline = Deadline(timeout_s)
    nb_cfg = northbound.advance()
    if northbound.await_northd(nb_cfg, timeout_s=deadline.left):
        southbound.await_chassis(nb_cfg, timeout_s=deadline.left)
    return nb_cfg


def _nb_cfg(result: dict[str, Any]) -> int:
    rows = result.get("rows", [])
    return int(rows[0]["nb_cfg"]) if rows else 0
