"""How each policy stands in this zone, as far as it is still to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import Code, OutcomeUnknown
from ovnqosd.loop.outcomes import PolicyOutcome, Reason, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovnqos import Compiler, OvnQosError
    from ovnqos.kubernetes import Metadata
    from ovnqosd.loop.pass_record import PassRecord

_SWITCHES_SHOWN: Final = 5
_log = structlog.get_logger()


class PolicyStanding:
    """The NetworkQoS objects that are there, and which of them a pass has to tell something of."""

    def __init__(self, live: Compiler, awaited_switches: Callable[[str], list[str]] = lambda _key: []) -> None:
        """Nothing is there.

        Args:
            live: knows what policies compiled to.
            awaited_switches: gives the switches that are wanted for a policy and not in the Northbound.
        """
        self._awaited_switches = awaited_switches
        self._live = live
        self._objects: dict[str, Metadata] = {}
        self._unsettled: set[str] = set()
        self._rivals: Mapping[str, str] = {}
        self._refused: Mapping[str, str] = {}
        self._hidden: Mapping[str, tuple[str, ...]] = {}

    def note(self, metadata: Metadata) -> None:
        """There is a new version of an object."""
        self._objects[metadata.key] = metadata
        self._unsettled.add(metadata.key)

    def forget(self, key: str) -> None:
        """An object is gone."""
        self._objects.pop(key, None)
        self._unsettled.discard(key)

    def unsettle(self) -> None:
        """All is to be told again."""
        self._unsettled = set(self._objects)

    def meet_rivals(self, rivals: Mapping[str, str]) -> None:
        """Takes which policies collide with rows of others now, and how."""
        changed = {key for key in rivals.keys() | self._rivals.keys() if rivals.get(key) != self._rivals.get(key)}
        for key in sorted(changed & rivals.keys()):
            _log.warning("conflict with rows of somebody else", object=key, conflict=rivals[key])
        self._unsettled |= changed & self._objects.keys()
        self._rivals = rivals

    def meet_hidden(self, hidden: Mapping[str, tuple[str, ...]]) -> None:
        """Takes which policies' limits are hidden now, in words."""
        changed = {key for key in hidden.keys() | self._hidden.keys() if hidden.get(key) != self._hidden.get(key)}
        self._unsettled |= changed & self._objects.keys()
        self._hidden = hidden

    def settle(self, record: PassRecord) -> dict[str, PolicyOutcome]:
        """What a pass has to tell: the outcomes by key. After one that failed they are told again."""
        self._unsettled |= record.policies & self._objects.keys()
        if isinstance(record.error, OutcomeUnknown):
            return {}  # the next pass knows
        if record.error is None:
            self._meet_refusals(record)
        outcomes = {key: self._outcome(key, record.error) for key in self._unsettled}
        if record.error is None:
            self._unsettled.clear()
        return outcomes

    def _meet_refusals(self, record: PassRecord) -> None:
        """Takes which policies the server refuses; a pass that did not touch a policy knows nothing new of it."""
        known = {} if record.trigger is Trigger.FULL else self._refused
        refused = {key: words for key, words in known.items() if key not in record.policies} | record.refused
        self._unsettled |= (refused.keys() ^ self._refused.keys()) & self._objects.keys()
        self._refused = refused

    def _outcome(self, key: str, error: OvnQosError | None) -> PolicyOutcome:
        metadata, compiled = self._objects[key], self._live.compiled(key)
        reason, message = self._reason(key, error)
        return PolicyOutcome(
            key=key,
            uid=metadata.uid,
            generation=metadata.generation,
            reason=reason,
            message=message,
            sources=compiled is not None and bool(compiled.rows),
            notes=(*(one.message for one in compiled.diagnostics), *self._hidden.get(key, ()))
            if compiled is not None
            else (),
        )

    def _reason(self, key: str, error: OvnQosError | None) -> tuple[Reason, str]:
        fault = self._live.invalid.get(key)
        if fault is not None:
            message = "; ".join(one.message for one in fault.diagnostics)
            if self._live.compiled(key) is not None:
                message += " (the last valid version stays in force)"
            return Reason.INVALID, message
        for one in self._live.diagnostics("NetworkQoS", key):
            if one.code is Code.COMPILE_FAILED:
                return Reason.UNSUPPORTED, one.message
        if error is not None:
            return Reason.NORTHBOUND_UNAVAILABLE, str(error)
        if key in self._refused:
            return Reason.NORTHBOUND_UNAVAILABLE, self._refused[key]
        if key in self._rivals:
            return Reason.CONFLICT, self._rivals[key]
        if rivals := ", ".join(sorted(self._live.conflicts(key))):
            return (
                Reason.CONFLICT,
                f"the same priority as {rivals} for packets that both match; which wins is undefined",
            )
        if awaited := self._awaited_switches(key):
            shown = ", ".join(awaited[:_SWITCHES_SHOWN]) + (" …" if len(awaited) > _SWITCHES_SHOWN else "")
            return Reason.WAITING, f"in force but for logical switches that are not in the Northbound yet: {shown}"
        return Reason.SUCCESS, "NetworkQoS Destinations applied"
