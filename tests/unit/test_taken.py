"""
Facts that are the same but for secrets that were taken out when they were recorded.
"""

from __future__ import annotations

import pytest

from orchestrd.audit.taken import as_recorded
from orchestrd.domain import events as ev


def seen(target: str, call: str = "c") -> ev.ViolationSeen:
    return ev.ViolationSeen(run="d/a/1", call=call, tool="Bash", rule="git", target=target, reason="")


@pytest.mark.parametrize(
    ("recorded", "heard", "same"),
    [
        ("as it is", "as it is", True),
        ("as it is", "as it was", False),
        ("push [secret] to [secret].", "push hunter2 to main.", True),
        ("push [secret] to [secret].", "pull hunter2 to main.", False),
        ("push [secret] to [secret].", "push hunter2 onto main!", False),
        ("ab [secret] wxyz", "ab longer-secret", True),
        ("no mark", "no [secret]", False),
    ],
)
def test_what_was_taken_out_may_have_been_anything(recorded, heard, same):
    found = as_recorded([seen(recorded)], [seen(heard), seen("behind")])
    assert found == [seen(recorded if same else heard), seen("behind")]


def test_another_call_is_another_fact():
    assert as_recorded([seen("[secret]", "c")], [seen("x", "d")]) == [seen("x", "d")]
