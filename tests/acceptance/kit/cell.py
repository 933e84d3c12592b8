"""
A look around from inside a sandbox: the agent runs ``python look.py``, which does what ``todo.json`` in its tree says and
writes down what came of it.  The policy knows nothing of what is in that file: here only the system stands in the way.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import pytest
from kit.script import bash, write
from kit.world import World

LOOK = """\
import importlib, json, sys
part = importlib.import_module("sub" + "process")
todo = json.load(open("todo.json"))
found = {}
for name, command in todo.items():
    done = part.run(["/bin/sh", "-c", command], capture_output=True, text=True, errors="replace", timeout=60)
    found[name] = [done.returncode, done.stdout[-20000:], done.stderr[-2000:]]
json.dump(found, open("found.json", "w"))
"""
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap (bwrap) is not installed")


class Found:
    """
    What came of each command, by its name: exit status, output, errors.
    """

    def __init__(self, found: dict[str, list[Any]]) -> None:
        self._found = found

    def code(self, name: str) -> int:
        return int(self._found[name][0])

    def out(self, name: str) -> str:
        return str(self._found[name][1])

    def failed(self, *names: str) -> list[str]:
        """
        Those of *names* that did not work.
        """
        return [name for name in names if self.code(name) != 0]

    def __repr__(self) -> str:
        return json.dumps(self._found, indent=1)


def look(todo: dict[str, str]) -> list[dict[str, Any]]:
    """
    The steps of an agent that looks around.
    """
    return [write("todo.json", json.dumps(todo)), bash(f"{sys.executable} look.py")]


def found(world: World, task: str) -> Found:
    return Found(json.loads((world.workspace(task) / "tree" / "found.json").read_text()))


def settings(**agent: Any) -> dict[str, Any]:
    """
    The config of a world whose agents are in a sandbox, with the Python that the tests run on.
    """
    # The Python of the tests, wherever it lies.
    return {"agent": {"sandbox": "required", **agent}, "policy": {"readable": [sys.prefix, sys.base_prefix]}}


ENV = {"IS_SANDBOX": None}
"""Nothing tells the CLI that it may do more inside."""
FILES = {"look.py": LOOK}
