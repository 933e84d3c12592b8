"""
``orchctl`` as a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Done:
    """
    A finished command.
    """

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit status {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        """
        What it printed, as JSON.
        """
        return json.loads(self.out)


def run_client(home: Path, *arguments: str, env: dict[str, str], stdin: str | None, timeout: float) -> Done:
    """
    Run it to its end.
    """
    done = subprocess.run(
        [sys.executable, "-m", "orchctl", "--home", str(home), *arguments],
        env=env,
        cwd=home.parent,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
