"""Tables at a fixed width, and in a pipe."""

from __future__ import annotations

import pytest

from ovnqos.cli import tables

COLUMNS = ("OBJECT", "RULE", "SWITCH", "DIRECTION", "PRIORITY", "VERDICT", tables.REASON)
LONG = "web_7d9f to 203.0.113.9, udp port 9: promised 20000 kbps, leaves with nothing; shadowed by another row"
ROWS: list[dict[str, object]] = [
    {
        "OBJECT": "NetworkQoS/a-namespace-with-a-name/gold-policy-of-the-team",
        "RULE": "19",
        "SWITCH": "worker-1.cluster.example",
        "DIRECTION": "to-lport",
        "PRIORITY": 10_438,
        "VERDICT": "shadowed",
        tables.REASON: (LONG, "second detail"),
    },
    {
        "OBJECT": "Pod/shop/db",
        "RULE": "egress",
        "SWITCH": None,
        "DIRECTION": "from-lport",
        "PRIORITY": 5,
        "VERDICT": "ok",
    },
]


def test_in_a_pipe_a_row_is_a_line_and_nothing_is_cut() -> None:
    header, first, second = tables.lines(COLUMNS, ROWS, width=None)
    assert header.split() == [*COLUMNS]
    assert first.endswith(f"shadowed  {LONG}; second detail")
    assert second.split() == ["Pod/shop/db", "egress", "-", "from-lport", "5", "ok", "-"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_on_a_terminal_every_line_fits_and_nothing_vanishes(width: int) -> None:
    lines = [*tables.lines(COLUMNS, ROWS, width=width)]
    assert all(len(line) <= width for line in lines)
    assert "REASON" not in lines[0]
    letters = "".join("".join(lines).split())
    for row in ROWS:
        for value in (row["RULE"], row["DIRECTION"], str(row["PRIORITY"]), row["VERDICT"]):
            assert str(value) in letters
    object_cell = "".join(line[: lines[0].index("RULE")].strip() for line in lines[1:4])
    assert object_cell.startswith(str(ROWS[0]["OBJECT"])) or width == 80
    under = " ".join(line.strip() for line in lines if line.startswith("    "))
    assert LONG in under or width == 80
    assert all(word in under for word in LONG.split())


def test_names_are_folded_after_slashes() -> None:
    rows: list[dict[str, object]] = [{"OBJECT": "NetworkQoS/shop/gold", "PRIORITY": 1}]
    lines = [*tables.lines(("OBJECT", "PRIORITY"), rows, width=24)]
    assert [line.split() for line in lines] == [["OBJECT", "PRIORITY"], ["NetworkQoS/", "1"], ["shop/gold"]]


def test_a_terminal_that_is_too_narrow_gets_whole_numbers_all_the_same() -> None:
    lines = "\n".join(tables.lines(COLUMNS, ROWS, width=20))
    assert "10438" in lines
    assert "from-lport" in lines


def test_numbers_are_aligned_to_the_right_and_styles_colour_the_verdict_alone() -> None:
    rows: list[dict[str, object]] = [{"PRIORITY": 5, "VERDICT": "ok"}, {"PRIORITY": 10_400, "VERDICT": "bad"}]
    assert [*tables.lines(("PRIORITY", "VERDICT"), rows, ["", "31"], width=80)] == [
        "PRIORITY  VERDICT",
        "       5  ok",
        "   10400  \x1b[31mbad    \x1b[0m",
    ]
