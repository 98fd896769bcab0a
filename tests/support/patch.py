"""A strict applier of unified diffs: each hunk must stand exactly where its header says, and count what it says."""

from __future__ import annotations

import re

_HUNK = re.compile(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@")
CONTEXT = 3


def patched(before: list[str], diff: list[str]) -> list[str]:
    """The lines after the hunks of one file."""
    after: list[str] = []
    done = 0
    position = 0
    while position < len(diff):
        header = _HUNK.fullmatch(diff[position])
        assert header, diff[position]
        start, length, new_start, new_length = map(int, header.groups())
        first = start - 1 if length else start
        assert first >= done, "hunks overlap"
        after += before[done:first]
        assert len(after) == (new_start - 1 if new_length else new_start)
        done, added, position = first, 0, position + 1
        taken = 0
        signs = ""
        while taken < length or added < new_length:
            sign, text = diff[position][0], diff[position][1:]
            signs += sign
            position += 1
            if sign in " -":
                assert before[done] == text
                done += 1
                taken += 1
            if sign in " +":
                after.append(text)
                added += 1
        assert (taken, added) == (length, new_length)
        lead, trail = len(signs) - len(signs.lstrip(" ")), len(signs) - len(signs.rstrip(" "))
        assert lead == CONTEXT or (lead < CONTEXT and first == 0)
        assert trail == CONTEXT or (trail < CONTEXT and done == len(before))
    return after + before[done:]
