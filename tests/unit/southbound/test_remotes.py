"""Where the Southbound is when nobody says: as ovn-sbctl has it."""

from __future__ import annotations

import pytest

from ovnqos import InvalidRemote
from ovnqos.southbound.remotes import default_remotes


@pytest.mark.parametrize(
    ("environment", "remotes"),
    [
        ({}, ["unix:/var/run/ovn/ovnsb_db.sock"]),
        ({"OVN_RUNDIR": "/run/ovn/"}, ["unix:/run/ovn/ovnsb_db.sock"]),
        ({"OVN_SB_DB": "tcp:10.0.0.1:6642,tcp:10.0.0.2:6642"}, ["tcp:10.0.0.1:6642", "tcp:10.0.0.2:6642"]),
        ({"OVN_SB_DB": "", "OVN_NB_DB": "tcp:10.0.0.1:6641"}, ["unix:/var/run/ovn/ovnsb_db.sock"]),
    ],
)
def test_the_default(environment: dict[str, str], remotes: list[str]) -> None:
    assert [str(remote) for remote in default_remotes(environment)] == remotes


def test_a_variable_that_is_no_remote_is_named() -> None:
    with pytest.raises(InvalidRemote, match="OVN_SB_DB: remote 'sb'"):
        default_remotes({"OVN_SB_DB": "sb"})
