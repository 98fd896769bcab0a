"""How often the limits of one object may change: a meter's bucket is full again after each change of its row."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from ovnqos import Bandwidth, Code, Compiler, Namespace, OvnKubernetesTopology, Pod, PodQos
from ovnqos.kubernetes import Changes, Metadata, ObservedObject
from ovnqosd.loop.limit_changes import INTERVAL_S, STABLE_S, LimitChanges
from tests.support.cluster import namespace, pod
from tests.support.scripted_api import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE_S = 60.0
STEP_S = 0.5


class Scene:
    """One pod, or namespace, whose limits change, compiled as the daemon would."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.compiler = Compiler(OvnKubernetesTopology())
        self.limits = LimitChanges(self.compiler, self.clock)

    def tell(self, one: Pod | Namespace, *, uid: str = "1") -> None:
        known = replace(one, uid=uid)
        key = getattr(one, "namespace", "")
        metadata = Metadata(namespace=key, name=one.name, uid=uid, generation=0, resource_version="1")
        self._apply([Changes(kind=type(one).__name__, updated=(ObservedObject(metadata=metadata, object=known),))])

    def delete(self, kind: str, key: str) -> None:
        self._apply([Changes(kind=kind, deleted=(key,))])

    def pass_by(self, seconds: float) -> None:
        """Let time pass as the loop does: it wakes when a change is due."""
        end = self.clock.time + seconds
        while (due := self.limits.next_time) is not None and due <= end:
            self.clock.time = max(due, self.clock.time)
            self._apply([])
        self.clock.time = end

    def _apply(self, batches: list[Changes]) -> None:
        for changes in self.limits.take(batches):
            for one in changes.updated:
                self.compiler.apply(one.object)
            for key in changes.deleted:
                self.compiler.delete(changes.kind, key)

    def row(self, purpose: str = "egress", name: str = "web") -> tuple[int | None, int | None] | None:
        found = self.compiler.desired().rows.get(f"Pod/shop/{name}/{purpose}")
        return None if found is None else (found.rate_kbps, found.burst_kbit)


def limited(egress: int | None = None, *, burst: int | None = None, ingress: int | None = None, **given: str) -> Pod:
    def limit(rate: int | None) -> Bandwidth | None:
        return None if rate is None else Bandwidth(rate_kbps=rate, burst_kbit=burst)

    qos = PodQos(egress=limit(egress), ingress=limit(ingress))
    return replace(pod("web", "10.0.0.5", labels=given), qos=qos)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def toggles(scene: Scene, *versions: Pod, seconds: float = MINUTE_S) -> Iterator[tuple[int | None, int | None] | None]:
    """The pod's row after every half second, in which it is told to be the next of these versions."""
    for step in range(int(seconds / STEP_S)):
        scene.tell(versions[step % len(versions)])
        scene.pass_by(STEP_S)
        yield scene.row()


@pytest.mark.parametrize(
    "versions",
    [
        (limited(3000), limited(3001)),
        (limited(3000, burst=3000), limited(3000, burst=3001)),
        (limited(3000, burst=15_000), limited(2900, burst=15_000)),
        tuple(limited(3000 - step) for step in range(200)),
    ],
    ids=["rate", "burst", "long burst", "always stricter"],
)
def test_what_changes_all_the_time_lets_a_tenth_more_pass_than_the_promise(
    scene: Scene, versions: tuple[Pod, ...]
) -> None:
    scene.tell(versions[0])
    rows = [scene.row(), *toggles(scene, *versions)]
    buckets = [new for old, new in pairwise(rows) if new is not None and new != old]
    refilled = sum(rate if burst is None else burst for rate, burst in buckets if rate is not None)
    assert refilled <= 0.1 * MINUTE_S * 3000


@pytest.mark.parametrize("start", [limited(3000), limited()], ids=["with", "without"])
def test_a_limit_that_comes_and_goes_stays(scene: Scene, start: Pod) -> None:
    scene.tell(start)
    scene.pass_by(MINUTE_S)
    rows = list(toggles(scene, limited(), limited(3000), seconds=10 * MINUTE_S))
    assert rows.count(None) <= 2
    assert set(rows[2:]) == {(3000, None)}


def test_a_change_takes_effect_at_once_where_the_one_before_was_long_ago(scene: Scene) -> None:
    for rate in (3000, 2000, None, 1000):
        scene.tell(limited(rate))
        assert scene.row() == (None if rate is None else (rate, None))
        scene.pass_by(INTERVAL_S)


def test_the_last_of_several_changes_takes_effect_in_the_end(scene: Scene) -> None:
    for rate in (4000, 3000, 2000, 1000):
        scene.tell(limited(rate))
    assert scene.row() == (3000, None)
    scene.pass_by(INTERVAL_S)
    assert scene.row() == (1000, None)


def test_a_change_that_waits_is_not_put_off_by_other_changes_of_the_pod(scene: Scene) -> None:
    for rate in (3000, 2000, 1000):
        scene.tell(limited(rate))
    for beat in range(int(INTERVAL_S / STEP_S)):
        scene.tell(limited(1000, beat=str(beat)))
        scene.pass_by(STEP_S)
    assert scene.row() == (1000, None)


def test_a_limit_that_is_removed_for_good_goes(scene: Scene) -> None:
    scene.tell(limited(4000))
    scene.tell(limited(3000))
    scene.tell(limited())
    assert scene.row() == (3000, None)
    scene.pass_by(INTERVAL_S)
    assert scene.row() is None


def test_all_else_of_a_pod_changes_at_once(scene: Scene) -> None:
    scene.tell(limited(4000))
    scene.tell(limited(3000))
    scene.tell(limited(2000, ingress=1000, app="web"))
    record = scene.compiler.inventory.record("shop", "web")
    assert record is not None
    assert record.pod.labels == {"app": "web"}
    assert scene.row() == (3000, None)
    assert Code.CHANGE_DELAYED in {one.code for one in scene.compiler.diagnostics("Pod", "shop/web")}
    scene.pass_by(INTERVAL_S)
    assert (scene.row(), scene.row("ingress")) == ((2000, None), (1000, None))
    assert Code.CHANGE_DELAYED not in {one.code for one in scene.compiler.diagnostics("Pod", "shop/web")}


def test_a_limit_where_there_is_none_takes_effect_at_once(scene: Scene) -> None:
    scene.tell(limited(3000))
    scene.tell(limited(3000, ingress=1000))
    assert scene.row("ingress") == (1000, None)


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "replaced"])
def test_another_pod_of_the_same_name_is_not_held_to_the_limits_of_the_one_before(scene: Scene, deleted: bool) -> None:
    scene.tell(limited(4000))
    scene.tell(limited(3000))
    scene.tell(limited(2000))
    if deleted:
        scene.delete("Pod", "shop/web")
    scene.tell(limited(1000), uid="2")
    assert scene.row() == (1000, None)
    scene.pass_by(MINUTE_S)
    assert scene.row() == (1000, None)


def test_the_defaults_of_a_namespace_likewise(scene: Scene) -> None:
    def space(rate: int) -> Namespace:
        return replace(namespace("shop"), qos=PodQos(egress=Bandwidth(rate_kbps=rate)))

    scene.tell(pod("web", "10.0.0.5"))
    scene.tell(space(4000))
    scene.tell(space(3000))
    scene.tell(space(2000))
    assert scene.row() == (3000, None)
    scene.pass_by(INTERVAL_S + STABLE_S)
    assert scene.row() == (2000, None)
    scene.tell(space(1000))
    scene.delete("Namespace", "shop")
    assert scene.row() is None
    assert scene.limits.next_time is None


def test_other_objects_are_not_held_back(scene: Scene) -> None:
    scene.tell(limited(4000))
    scene.tell(limited(3000))
    scene.tell(limited(2000))
    other = replace(limited(1000), name="db")
    scene.tell(other, uid="2")
    assert scene.row(name="db") == (1000, None)
