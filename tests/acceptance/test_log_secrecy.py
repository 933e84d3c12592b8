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


CRASH = """\
import os, sys
import orchestrd.__main__ as program
import orchestrd.daemon
async def serve(*arguments, **more):
    import structlog
    structlog.get_logger().error("odd", error="https://me:" + "hunter2-url" + "@host/x.git refused " + os.environ["BOT_TOKEN"])
    raise RuntimeError("told " + os.environ["BOT_TOKEN"] + " and " + "sk-ant-" + "api03-abcdefghijklmnop")
orchestrd.daemon.serve = serve
sys.exit(program.main(["--home", sys.argv[1]]))
"""


def test_a_crash_tells_no_secret(tmp_path):
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (tmp_path / "home" / "config").mkdir(parents=True)
    (tmp_path / "home" / "config" / "orchestrd.yaml").write_text(f"project: {project}\n")
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path / "home")],
        env={**os.environ, "BOT_TOKEN": "planted-77c0-bot"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: told [secret] and [secret]" in done.stderr
    assert "https://me:[secret]@host/x.git refused [secret]" in done.stderr
    for secret in ("planted-77c0-bot", "hunter2-url", "abcdefghijklmnop"):
        assert secret not in done.stderr + done.stdout
