"""`ovnqos demo` as a user without root: the guide without packets, and nothing left behind."""

from __future__ import annotations

import pytest

from tests.functional.support_demo import demo


def test_without_root_it_plays_without_packets_and_leaves_nothing() -> None:
    with demo(unprivileged=True) as running:
        code = running.wait(timeout=180)
        said = running.said
        assert code == 0, said
        assert "Played without pods and packets" in said
        assert "All checks passed" in said
        assert said.count("rate=20000 burst=100 dscp=20") >= 2
        assert "    - to-lport 10400" in said
        assert "rate=4000000" in said
        assert "error" not in said
        assert "\x1b[" not in said
        assert running.left_behind() == []


@pytest.mark.parametrize(
    "moment",
    ["private OVN", "$ ovnqos diff", "$ ovnqos apply", "$ ovn-nbctl qos-list", "$ ovnqos list", "$ ovn-nbctl set"],
)
def test_an_interrupt_ends_it_in_order(moment: str) -> None:
    with demo(unprivileged=True) as running:
        running.read_until(moment)
        running.interrupt()
        assert running.wait(timeout=60) == 130
        assert "All checks passed" not in running.said
        assert "Traceback" not in running.said
        assert running.left_behind() == []
