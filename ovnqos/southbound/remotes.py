"""Where the Southbound is, in the words that `ovn-sbctl` understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.ovsdb.remotes import remotes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.ovsdb.remotes import Remote


def default_remotes(environment: Mapping[str, str] | None = None) -> tuple[Remote, ...]:
    """The remotes that `ovn-sbctl` would use: OVN_SB_DB, else the local socket, in OVN_RUNDIR where that is set.

    Args:
        environment: instead of the process' own.

    Raises:
        InvalidRemote: OVN_SB_DB is set and is not a list of remotes.
    """
    return remotes_of("OVN_SB_DB", "ovnsb_db.sock", environment)
