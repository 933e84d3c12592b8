"""
What fault tests share: worlds of fake agents, and the table of what was survived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import manager, table
from harness.lone import SILENCE, Lone
from harness.service import ServiceWorld
from harness.world import FaultWorld


@pytest.fixture
def fault_world() -> Iterator[Callable[..., FaultWorld]]:
    """
    Makes worlds of fake agents, see `FaultWorld`; each is ended with all its processes when the test is over.
    """
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(FaultWorld(*args, **more))


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Lone]:
    """
    A session without a daemon, of a run that lives as far as its directory tells; silent for more than `SILENCE`, it hangs.
    """
    run = Lone(tmp_path / "run", silence=SILENCE)
    run.pretend(str(tmp_path))
    with run.held:
        yield run


@pytest.fixture
def service_world() -> Iterator[Callable[..., ServiceWorld]]:
    """
    Makes worlds whose daemon is a service, see `ServiceWorld`; skipped where that cannot be.
    """
    manager.require()
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(ServiceWorld(**more))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., None]:
    """
    Adds a row of the fault table to this test's report, see `table.Row`.
    """

    def add(row: str, **fields: Any) -> None:
        request.node.user_properties.append((table.KEY, table.Row(row=row, **fields)._asdict()))

    return add


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The long ones first: whoever runs several at once must not wait for one of them at the end.
    items.sort(key=lambda item: item.get_closest_marker("loop") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = table.lines(terminalreporter.stats)
    if lines:
        terminalreporter.section("faults survived")
        for line in lines:
            terminalreporter.write_line(line)
