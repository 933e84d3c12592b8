"""
What was seen to have happened is recorded once, with the end of its run, and told in the report.
"""

from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from factories import DAY, LIMITS, RUN, TASK, initialised, make_task, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.report import day_report
from orchestrd.domain.reportpage import page
from orchestrd.services.desk import Desk
from orchestrd.services.store import Store

pytestmark = pytest.mark.anyio
SEEN = ev.ViolationSeen(
    run=RUN,
    call="c",
    tool="Bash",
    rule="git",
    target="git add x",
    reason="It ran.",
    seen_by="monitor",
    evidence="it succeeded",
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_once_and_with_the_end(journaled: tuple[Store, Desk]) -> None:
    store, desk = journaled
    async with anyio.create_task_group() as group:
        await group.start(store.run)
        await store.record(*submitted(make_task()), started(), initialised())
        await desk.violated(RUN, SEEN, "the hook was bypassed")
        row = store.state.run(RUN)
        assert row is not None
        assert (row.stopping, row.stopping_cause) == (Outcome.VIOLATION, Cause.VIOLATION)
        assert row.stopping_reason == "the hook was bypassed"
        # Read again after a restart, it is known; seen by another, it is another.
        await desk.violated(RUN, SEEN, "again")
        await desk.violated(RUN, replace(SEEN, seen_by="watch"), "again")
        seen = store.state.violations(task=TASK)
        assert [(v.call, v.seen_by, v.evidence) for v in seen] == [
            ("c", "monitor", "it succeeded"),
            ("c", "watch", "it succeeded"),
        ]
        text = page(day_report(store.state, DAY, LIMITS))
        assert "seen to have happened" in text
        assert "It ran. it succeeded" in text
        group.cancel_scope.cancel()
