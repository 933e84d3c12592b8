"""
The daemon's log tells where something went wrong, and nothing of what it was working with.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

PROGRAM = """\
import sys, structlog
from orchestrd.logs import configure_logging
configure_logging("info", sys.stderr)
def work():
    environment = {"ANTHROPIC_API_KEY": "sk-" + "very-secret"}
    raise ValueError("it broke")
try:
    work()
except ValueError:
    structlog.get_logger().exception("rpc.failed", method="task.submit")
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_an_exception_is_logged_without_what_it_was_about(terminal):
    controller, end = pty.openpty()
    os.set_blocking(controller, False)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], stderr=end if terminal else subprocess.PIPE, check=True, timeout=60
    )
    written = os.read(controller, 1 << 16) if terminal else done.stderr
    os.close(end)
    os.close(controller)
    assert b"it broke" in written
    assert b"rpc.failed" in written
    assert b"work" in written
    assert b"very-secret" not in written
