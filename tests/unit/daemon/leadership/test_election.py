"""The election by a Lease: a candidate's every step, on a clock that the test sets."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos.kubernetes import Clock, connect
from ovnqosd.leadership.election import LeaderElector, LeaseTiming
from ovnqosd.leadership.lease import Lease, own_identity, own_namespace
from tests.support.answering_api import PATIENCE, AnsweringApi, Request, refusal
from tests.support.scripted_api import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ovnqos.kubernetes import Interruption

PATH = "/apis/coordination.k8s.io/v1/namespaces/ovn/leases"


class LeaseServer:
    """Attributes: `spec` is the Lease's, None if there is none; `refuses` is a status for every request, and
    `retry_after` the seconds after which to ask again.
    """

    def __init__(self, spec: dict[str, Any] | None = None) -> None:
        self.spec = spec
        self.version = 1
        self.refuses = 0
        self.retry_after = ""

    def set(self, **spec: Any) -> None:
        self.spec = spec
        self.version += 1

    def document(self) -> dict[str, Any]:
        return {"metadata": {"name": "ovnqosd", "resourceVersion": str(self.version)}, "spec": self.spec}

    def __call__(self, request: Request) -> tuple[int, object]:
        if self.refuses:
            return refusal(self.refuses, "Refused", retry_after=self.retry_after)
        if request.method == "POST" and request.path == PATH:
            if self.spec is not None:
                return refusal(409, "AlreadyExists")
        elif request.path != f"{PATH}/ovnqosd" or self.spec is None:
            return refusal(404, "NotFound")
        elif request.method == "PUT" and request.body["metadata"]["resourceVersion"] != str(self.version):
            return refusal(409, "Conflict")
        if request.method != "GET":
            self.set(**request.body["spec"])
        return 200, self.document()


class Steps(Clock):
    """Each wait takes no time but moves the clock, and then runs the next step; after the last one it lasts."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.time = 1000.0
        self.waits: list[float] = []
        self.ended = threading.Event()
        self._steps = list(steps)

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_790_000_000.25

    def wait(self, seconds: float, interruption: Interruption) -> None:
        if not self._steps:
            self.ended.set()
            interruption.wait(PATIENCE)
            return
        self.waits.append(seconds)
        self.time += seconds
        self._steps.pop(0)()


class Candidate:
    def __init__(self, server: LeaseServer, folder: Path, *, identity: str = "me") -> None:
        self.server = server
        self.told: list[str] = []
        self.holders: list[str] = []
        self._folder = folder
        self._identity = identity
        self.elector: LeaderElector

    @contextmanager
    def after(self, *steps: Callable[[], object]) -> Iterator[Steps]:
        """Runs the election up to after the steps."""
        clock = Steps(*steps)
        with AnsweringApi(self.server) as self.api:
            client = connect(write_kubeconfig(self._folder, self.api.url))
            self.elector = LeaderElector(
                Lease(client, "ovn", "ovnqosd"),
                self._identity,
                on_started=lambda: self.told.append("started"),
                on_stopped=lambda: self.told.append("stopped"),
                clock=clock,
            )
            self.elector.start()
            try:
                assert clock.ended.wait(PATIENCE)
                yield clock
            finally:
                self.elector.stop()
                client.close()
            assert not self.elector.is_alive


def held_by(holder: str, *, renewed: str = "1", duration: int = 15) -> dict[str, Any]:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration,
        "acquireTime": "2026-11-21T12:00:00.000000Z",
        "renewTime": renewed,
        "leaseTransitions": 4,
    }


def nothing() -> None:
    """A step without an event."""


def test_the_first_candidate_makes_the_lease_and_is_elected(tmp_path: Path) -> None:
    candidate = Candidate(LeaseServer(), tmp_path)
    with candidate.after():
        assert candidate.told == ["started"]
        assert candidate.elector.is_leader
        assert candidate.elector.holder == "me"
        assert candidate.server.spec == {
            "holderIdentity": "me",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-09-21T14:13:20.250000Z",
            "renewTime": "2026-09-21T14:13:20.250000Z",
            "leaseTransitions": 0,
        }


def test_a_leader_renews_with_one_request_and_is_told_once(tmp_path: Path) -> None:
    candidate = Candidate(LeaseServer(), tmp_path)
    with candidate.after(nothing, nothing, nothing) as clock:
        assert [request.method for request in candidate.api.requests] == ["GET", "POST", "PUT", "PUT", "PUT"]
        assert candidate.told == ["started"]
        assert all(2.0 <= wait <= 2.4 for wait in clock.waits)


def test_stop_ends_the_work_first_and_then_releases_the_lease(tmp_path: Path) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)
    with candidate.after():
        candidate.elector._on_stopped = lambda: candidate.told.append(
            f"stopped, {(server.spec or {})['holderIdentity']}"
        )
    assert candidate.told == ["started", "stopped, me"]
    assert server.spec is not None
    assert "holderIdentity" not in server.spec
    assert server.spec["leaseDurationSeconds"] == 1


def test_a_lease_is_released_even_if_the_last_renewal_had_no_answer(tmp_path: Path) -> None:
    class Silent(LeaseServer):
        def __call__(self, request: Request) -> tuple[int, object]:
            status, document = super().__call__(request)
            renewed = request.method == "PUT" and "holderIdentity" in request.body["spec"]
            return refusal(504, "Timeout") if renewed else (status, document)

    server = Silent()
    with Candidate(server, tmp_path).after(nothing):
        pass
    assert server.spec is not None
    assert "holderIdentity" not in server.spec


def test_a_released_lease_is_taken_at_the_next_attempt(tmp_path: Path) -> None:
    released = {key: value for key, value in held_by("").items() if key != "holderIdentity"}
    candidate = Candidate(LeaseServer(released), tmp_path)
    with candidate.after():
        assert candidate.told == ["started"]
        assert candidate.server.spec is not None
        assert candidate.server.spec["leaseTransitions"] == 5


def test_a_follower_waits_as_long_as_the_lease_says_by_its_own_clock(tmp_path: Path) -> None:
    candidate = Candidate(LeaseServer(held_by("other", renewed="1999-01-01T00:00:00.000000Z")), tmp_path)
    states: list[bool] = []
    with candidate.after(*[lambda: states.append(candidate.elector.is_leader)] * 12) as clock:
        elected_after = sum(clock.waits[: states.index(True)])
        assert candidate.told == ["started"]
    assert 15.0 <= elected_after <= 15.0 + 2.4


def test_a_lease_that_has_counted_to_the_end_can_be_taken(tmp_path: Path) -> None:
    most = 2**31 - 1  # the API refuses more
    server = LeaseServer({"holderIdentity": None, "leaseTransitions": most})
    candidate = Candidate(server, tmp_path)
    with candidate.after():
        assert candidate.told == ["started"]
    assert server.spec is not None
    assert server.spec["leaseTransitions"] <= most


def test_a_lease_that_is_renewed_is_never_taken(tmp_path: Path) -> None:
    server = LeaseServer(held_by("other"))
    candidate = Candidate(server, tmp_path)
    with candidate.after(*[lambda: server.set(**held_by("other", renewed=str(server.version)))] * 30) as clock:
        assert candidate.told == []
        assert candidate.elector.holder == "other"
        assert sum(clock.waits) > 60
    assert server.spec is not None
    assert server.spec["holderIdentity"] == "other"


def test_a_candidate_leaves_the_server_alone_as_long_as_it_asks(tmp_path: Path) -> None:
    server = LeaseServer()
    server.refuses, server.retry_after = 429, "7"
    candidate = Candidate(server, tmp_path)
    with candidate.after(
        lambda: setattr(server, "retry_after", "9999"), lambda: setattr(server, "refuses", 0)
    ) as clock:
        assert 7 <= clock.waits[0] < 7.5
        assert 30 <= clock.waits[1] < 31
        assert candidate.told == ["started"]


def test_a_leader_gives_up_in_time_and_still_asks_no_sooner_than_it_may(tmp_path: Path) -> None:
    server = LeaseServer()
    server.retry_after = "20"
    candidate = Candidate(server, tmp_path)
    with candidate.after(lambda: setattr(server, "refuses", 503), nothing, nothing) as clock:
        assert candidate.told == ["started", "stopped"]
        refused = clock.waits[0]  # after the first renewal
        assert sum(clock.waits[:2]) == pytest.approx(10.0)  # the deadline
        assert sum(clock.waits[:3]) == pytest.approx(refused + 20.0)
        assert [request.method for request in candidate.api.requests] == ["GET", "POST", "PUT", "GET"]


@pytest.mark.parametrize("number", ["1e999", "-Infinity", "NaN", "-1", "1e12", '"15"', "[]"])
def test_a_lease_with_a_number_that_is_none_is_told_and_does_not_end_the_election(tmp_path: Path, number: str) -> None:
    server = LeaseServer(held_by("other"))
    assert server.spec is not None
    server.spec["leaseDurationSeconds"] = json.loads(number)
    candidate = Candidate(server, tmp_path)
    with capture_logs() as logs, candidate.after(nothing, nothing):
        assert candidate.elector.is_alive
        assert candidate.told == []
        assert "leaseDurationSeconds" in candidate.elector.problem
    assert [log["log_level"] for log in logs] == ["warning"]


@pytest.mark.parametrize("status", [500, 403])
def test_a_leader_that_cannot_renew_in_time_gives_up_by_itself(tmp_path: Path, status: int) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)
    gave_up: list[float] = []

    def watch() -> None:
        server.refuses = status
        if candidate.told == ["started", "stopped"] and not gave_up:
            gave_up.append(candidate.elector._clock.monotonic())

    with capture_logs() as logs, candidate.after(*[watch] * 9):
        assert not candidate.elector.is_leader
        assert candidate.told == ["started", "stopped"]
        server.refuses = 0
    assert gave_up[0] - 1000.0 <= 10.0 + 2.4
    (warning,) = (log for log in logs if log["log_level"] == "warning")
    assert f"HTTP {status}" in warning["cause"]


def test_leadership_ends_by_the_clock_before_the_others_take_over(tmp_path: Path) -> None:
    candidate = Candidate(LeaseServer(), tmp_path)
    with candidate.after() as clock:
        clock.time += 9.9
        assert candidate.elector.is_leader
        clock.time += 0.2
        assert not candidate.elector.is_leader


def test_an_outage_shorter_than_the_deadline_changes_nothing(tmp_path: Path) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)

    def refuse(status: int) -> Callable[[], None]:
        return lambda: setattr(server, "refuses", status)

    with capture_logs() as logs, candidate.after(refuse(500), refuse(500), refuse(0), nothing):
        assert candidate.told == ["started"]
        assert candidate.elector.is_leader
        assert candidate.elector.problem == ""
    assert [log["log_level"] for log in logs[:3]] == ["info", "warning", "info"]


def test_a_leader_whose_lease_another_took_stops_at_once_and_leaves_it(tmp_path: Path) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)
    with candidate.after(lambda: server.set(**held_by("other")), nothing):
        assert candidate.told == ["started", "stopped"]
    assert server.spec is not None
    assert server.spec["holderIdentity"] == "other"


def test_a_leader_whose_lease_was_edited_or_deleted_goes_on(tmp_path: Path) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)

    def edit() -> None:
        assert server.spec is not None
        server.set(**server.spec)

    with candidate.after(edit, nothing, lambda: setattr(server, "spec", None), nothing):
        assert candidate.told == ["started"]
        assert candidate.elector.is_leader


def test_a_process_that_lost_is_elected_again_when_it_can(tmp_path: Path) -> None:
    server = LeaseServer()
    candidate = Candidate(server, tmp_path)
    released = {key: value for key, value in held_by("").items() if key != "holderIdentity"}
    with candidate.after(lambda: server.set(**held_by("other")), lambda: server.set(**released), nothing):
        assert candidate.told == ["started", "stopped", "started"]


def test_of_two_that_write_at_once_one_is_elected(tmp_path: Path) -> None:
    server = LeaseServer(held_by(""))

    class Race(LeaseServer):
        def __call__(self, request: Request) -> tuple[int, object]:
            if request.method == "PUT" and self.version == 1:
                self.set(**held_by("other"))
            return super().__call__(request)

    server = Race(held_by(""))
    candidate = Candidate(server, tmp_path)
    with candidate.after(nothing):
        assert candidate.told == []
        assert candidate.elector.holder == "other"


def test_a_callback_that_fails_gives_the_lease_back_and_ends_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: failures.append(arguments.exc_type))
    server = LeaseServer()

    def fail() -> None:
        raise LookupError

    with AnsweringApi(server) as api:
        client = connect(write_kubeconfig(tmp_path, api.url))
        stopped = threading.Event()
        elector = LeaderElector(Lease(client, "ovn", "ovnqosd"), "me", on_started=fail, on_stopped=stopped.set)
        elector.start()
        assert stopped.wait(PATIENCE)
        elector.stop()
        client.close()
    assert failures == [LookupError]
    assert not elector.is_alive
    assert server.spec is not None
    assert "holderIdentity" not in server.spec


def test_the_namespace_is_the_pods_own(tmp_path: Path) -> None:
    file = tmp_path / "namespace"
    assert own_namespace(file) == "default"
    file.write_text("ovn-kubernetes\n")
    assert own_namespace(file) == "ovn-kubernetes"


def test_no_two_processes_have_one_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "ovnqosd-abc")
    first, second = own_identity(), own_identity()
    assert first != second
    assert first.startswith("ovnqosd-abc_")


def test_a_short_deadline_leaves_time_for_several_attempts() -> None:
    assert LeaseTiming.of(duration=15.0, renew_deadline=10.0) == LeaseTiming()
    assert LeaseTiming.of(duration=3.0, renew_deadline=2.0).retry == pytest.approx(0.4)
    assert LeaseTiming.of(duration=60.0, renew_deadline=40.0).retry == LeaseTiming().retry


def test_a_lease_taken_from_a_silent_holder_is_told_from_one_that_was_free(tmp_path: Path) -> None:
    released = {key: value for key, value in held_by("").items() if key != "holderIdentity"}
    for spec, silent in ((None, False), (released, False), (held_by("frozen"), True)):
        candidate = Candidate(LeaseServer(spec), tmp_path)
        with candidate.after(*[nothing] * 9):
            assert candidate.told == ["started"]
            assert candidate.elector.took_over == silent


def test_a_lease_taken_without_an_answer_is_known_to_be_taken_over(tmp_path: Path) -> None:
    class Mute(LeaseServer):
        def __call__(self, request: Request) -> tuple[int, object]:
            mute = request.method == "PUT" and self.spec is not None and self.spec["holderIdentity"] == "frozen"
            status, document = super().__call__(request)
            return refusal(504, "Timeout") if mute else (status, document)

    candidate = Candidate(Mute(held_by("frozen")), tmp_path)
    with candidate.after(*[nothing] * 10):
        assert candidate.told == ["started"]
        assert candidate.elector.took_over
