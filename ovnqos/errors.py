"""The errors that callers can get: each is an `OvnQosError`, whose message is one or more complete lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.diagnostics import Diagnostic, ObjectRef


class OvnQosError(Exception):
    """Base of all errors raised by this library."""


class InvalidObject(OvnQosError):
    """An object breaks its schema or its rules.

    Attributes:
        object: the object; its name and namespace are empty where they are not valid.
        diagnostics: every error of the object.
        warnings: what else is said of the object, e.g. of a misspelt field that explains an error.

    Args:
        ref: the object.
        diagnostics: errors and warnings, made to name the object.
    """

    def __init__(self, ref: ObjectRef, diagnostics: Iterable[Diagnostic]) -> None:
        given = [one if one.object == ref else replace(one, object=ref) for one in diagnostics]
        self.object = ref
        self.diagnostics = tuple(one for one in given if one.severity is Severity.ERROR)
        self.warnings = tuple(one for one in given if one.severity is not Severity.ERROR)
        super().__init__(ref, self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class UnreadableInput(OvnQosError):
    """A file, folder or stream cannot be read as Kubernetes documents."""


class InvalidRow(OvnQosError, ValueError):
    """A row, match, set or group given by a caller of the lower level is not one that a Northbound can hold."""


class NameTaken(OvnQosError):
    """A desired address set or port group has the name of another owner's."""


class UnsafePlan(OvnQosError):
    """A plan deletes more than its limit allows; nothing was written."""


class StalePlan(OvnQosError):
    """The database changed between snapshot and apply; nothing was written. Take a new snapshot and plan again."""


class InvalidRemote(OvnQosError, ValueError):
    """A remote's name cannot be read, or the TLS files for it cannot be used."""


class DatabaseUnavailable(OvnQosError):
    """No server of a database answers, or none of those that answer leads the cluster."""


class NorthboundUnavailable(DatabaseUnavailable):
    """No server of the OVN Northbound is available."""


class SouthboundUnavailable(DatabaseUnavailable):
    """No server of the OVN Southbound is available."""


class ChassisUnavailable(OvnQosError):
    """The switch or the ovn-controller of this chassis cannot be asked."""


class OutcomeUnknown(OvnQosError):
    """A commit got no answer in time: it may have happened. Take a new snapshot and plan again."""


class LockLost(OvnQosError):
    """Another writer of the same owner holds the OVSDB lock; nothing was written."""


class SchemaMismatch(OvnQosError):
    """The database is not an OVN Northbound, or it lacks a table or column that is needed."""


class TransactionRefused(OvnQosError):
    """The database refused a transaction for a reason of its own (a constraint, a value); nothing was written."""
