"""
Long text through the person's pager.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable


def page(parts: Iterable[str]) -> None:
    """
    Write the parts to the pager as they come; without a terminal or a pager, to standard output.
    """
    command = _command() if sys.stdout.isatty() else None
    if command is None:
        for part in parts:
            sys.stdout.buffer.write(part.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
        return
    # -R: colours pass, other controls are shown.  -F: what fits the screen is just printed.  -X: and stays there.
    environ = {"LESS": "FRX", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
    assert process.stdin is not None
    # Ctrl-C belongs to the pager while it runs.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for part in parts:
            process.stdin.write(part.encode("utf-8", "replace"))
        process.stdin.close()
    except BrokenPipeError:
        # The person has seen enough.
        pass
    finally:
        process.wait()
        signal.signal(signal.SIGINT, before)


def _command() -> list[str] | None:
    named = os.environ.get("PAGER")
    if named is not None:
        words = shlex.split(named)
        return words if words and words[0] != "cat" and shutil.which(words[0]) else None
    return ["less", "-R"] if shutil.which("less") else None
