"""
What was tried and is not recorded yet: does it end the run?
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from factories import RUN, running_state
from orchestrd.domain import events as ev
from orchestrd.domain.violations import strikes

SURE = ev.ViolationSeen(run=RUN, call="c", tool="Bash", rule="git", target="git add", reason="no", decision="deny")
UNREAD = replace(SURE, rule="exec-unknown")
TOLD = replace(SURE, decision="")
CALLED = ev.ToolCalled(run=RUN, call="c", tool="Bash", target="ls", subagent=None)


@pytest.mark.parametrize(
    ("before", "heard", "ends"),
    [
        (0, [], False),
        (0, [CALLED], False),
        (0, [CALLED, SURE], True),
        (0, [TOLD], False),
        (0, [UNREAD, UNREAD], False),
        (0, [UNREAD, UNREAD, UNREAD], True),
        (2, [UNREAD], True),
        (1, [UNREAD, TOLD], False),
        # What was recorded was looked at then.
        (3, [CALLED], False),
    ],
)
def test_what_is_heard_ends_the_run_as_its_record_will(before, heard, ends):
    run = running_state().run(RUN)
    assert run is not None
    assert strikes(replace(run, unknown=before), heard, unknown=3) is ends
