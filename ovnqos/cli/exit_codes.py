"""What the exit code of the command says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.errors import (
    DatabaseUnavailable,
    LockLost,
    OutcomeUnknown,
    SchemaMismatch,
    StalePlan,
    TransactionRefused,
)

if TYPE_CHECKING:
    from ovnqos.errors import OvnQosError

EXIT_INVALID: Final = 1
"""Something given is invalid, or the plan is refused."""
EXIT_DRIFT: Final = 2
"""`diff --exit-code` found differences."""
EXIT_UNREACHABLE: Final = 3
"""The database is out of reach, is none of ours to write now, or did not take or answer the transaction."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells have it."""

_OF_THE_DATABASE = (DatabaseUnavailable, LockLost, OutcomeUnknown, SchemaMismatch, StalePlan, TransactionRefused)


def exit_code_of(error: OvnQosError) -> int:
    """The exit code for an error."""
    return EXIT_UNREACHABLE if isinstance(error, _OF_THE_DATABASE) else EXIT_INVALID
