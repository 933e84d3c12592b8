"""
The Claude Code CLIs that tests run on: the one that the Python package bundles, and the oldest that is supported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrd.runner.claude_cli import OLDEST

BUNDLED = "bundled"
VERSION = ".".join(map(str, OLDEST))


def oldest() -> str:
    """
    The path of the oldest CLI, which ``make test`` fetches with npm; the test is left out where there is none.
    """
    modules = Path(sys.prefix) / f"claude-{VERSION}" / "node_modules"
    found = sorted(modules.glob("@anthropic-ai/claude-code-*/claude"))
    if not found:
        pytest.skip(f"Claude Code {VERSION} is not there: `make test` fetches it where there is npm")
    return str(found[0])
