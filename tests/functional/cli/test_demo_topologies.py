"""`ovnqos demo kube-ovn` and `ovnqos demo static` as a user without root: the plan, and nothing left behind."""

from __future__ import annotations

import pytest

from tests.functional.support_command import ovnqos
from tests.functional.support_demo import demo


@pytest.mark.parametrize(
    ("scenario", "lines"),
    [
        (
            "kube-ovn",
            [
                "destinations: pods role=storage in default on vpc:tenant-a IPv4",
                "    + 1 member: guest.default",
                "$ ovn-nbctl qos-list tenant",
            ],
        ),
        (
            "static",
            [
                "$ cat topology.yaml",
                "    + 1 member: vm-default.backup",
                "    + 2 members: 10.88.0.5, 10.88.0.6",
                "$ ovn-nbctl qos-list lan",
            ],
        ),
    ],
)
def test_without_root_it_shows_the_plan_and_leaves_nothing(scenario: str, lines: list[str]) -> None:
    with demo(scenario, unprivileged=True) as running:
        code = running.wait(timeout=180)
        said = running.said
        assert code == 0, said
        for line in lines:
            assert line in said, said
        assert "from-lport 10400 (inport == @ovnqos_src_" in said
        assert "rate=20000 burst=4000 dscp=10" in said
        assert "Played without pods and packets" in said
        assert "to do: no changes" in said
        assert "All checks passed" in said
        assert "warning" not in said
        assert running.left_behind() == []


@pytest.mark.parametrize("scenario", ["kube-ovn", "static"])
@pytest.mark.parametrize("moment", ["private OVN", "$ ovnqos apply", "$ ovn-nbctl qos-list"])
def test_an_interrupt_ends_it_in_order(scenario: str, moment: str) -> None:
    with demo(scenario, unprivileged=True) as running:
        running.read_until(moment)
        running.interrupt()
        assert running.wait(timeout=60) == 130
        assert "All checks passed" not in running.said
        assert "Traceback" not in running.said
        assert running.left_behind() == []


def test_another_scene_is_refused_with_those_that_there_are() -> None:
    ended = ovnqos("demo", "calcutta")
    assert ended.code == 1
    (line,) = ended.errors
    assert "'guide'" in line
    assert "'kube-ovn', 'static'" in line
