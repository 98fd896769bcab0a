"""Where the Southbound is, in the words that `ovn-sbctl` understands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ovnqos.errors import InvalidRemote
from ovnqos.northbound.remotes import DEFAULT_RUN_FOLDER, parse_remotes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.northbound.remotes import Remote


def default_remotes(environment: Mapping[str, str] | None = None) -> tuple[Remote, ...]:
    """The remotes that `ovn-sbctl` would use: OVN_SB_DB, else the local socket, in OVN_RUNDIR where that is set.

    Args:
        environment: instead of the process' own.

    Raises:
        InvalidRemote: OVN_SB_DB is set and is not a list of remotes.
    """
    values = os.environ if environment is None else environment
    if given := values.get("OVN_SB_DB"):
        try:
            return parse_remotes(given)
        except InvalidRemote as error:
            raise InvalidRemote(f"OVN_SB_DB: {error}") from None
    folder = values.get("OVN_RUNDIR") or DEFAULT_RUN_FOLDER
    return parse_remotes(f"unix:{folder.rstrip('/')}/ovnsb_db.sock")
