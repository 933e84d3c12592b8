"""
An agent at its daily work, and the same commands without us: whoever is watched must be able to do what anybody can.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kit.attack import FILES, PATIENCE
from kit.project import git
from kit.script import call, say, scenario, task, use
from kit.world import World

_STATUS = re.compile(r"Exit code (\d+)")
LIMIT = 30
"""Seconds a command may take."""


class Honest(World):
    """
    One agent that runs *commands*, one after another.
    """

    def __init__(self, commands: Sequence[str], *, agent: dict[str, Any], **more: Any) -> None:
        self.commands = list(commands)
        super().__init__(lambda _: self._script(), files=FILES, config={"agent": agent}, **more)
        self.quiet = True

    def _script(self) -> list[dict[str, Any]]:
        tree = self.workspace("work") / "tree"
        placed = [self._placed(command, str(tree), str(tree.parent / "tmp")) for command in self.commands]
        return [
            scenario(
                "work",
                *(call(use("Bash", command=command, description="run it", timeout=LIMIT * 1000)) for command in placed),
                say("Done."),
            )
        ]

    def _placed(self, command: str, tree: str, scratch: str) -> str:
        found = command.replace("/home/dev/project", tree).replace("/tmp/agent", scratch)
        return found.replace("/home/dev", str(self.claude))

    def compare(self) -> Iterator[tuple[str, str, str]]:
        """
        Each command that went otherwise than without us, with how it went for the agent, and how without us.
        """
        plain = self._plain()
        self.submit(task("work"))
        end = time.monotonic() + PATIENCE
        while not self.rpc("task.wait", tasks=[], timeout=50)["done"]:
            assert time.monotonic() < end, self.status()
        ours = self._ours()
        for number, command in enumerate(self.commands):
            got = ours[number] if number < len(ours) else "never run"
            if got != plain[number]:
                yield command, got, plain[number]

    def _plain(self) -> list[str]:
        """
        The exit status of each command in a copy of the project, as the person would run it.
        """
        twin = self.root / "twin"
        git(self.root, "clone", "--quiet", str(self.project), str(twin / "tree"))
        (twin / "tmp").mkdir()
        env = {name: value for name, value in self._env.items() if value is not None}
        found = []
        for command in self.commands:
            text = self._placed(command, str(twin / "tree"), str(twin / "tmp"))
            done = subprocess.run(
                ["timeout", str(LIMIT), "bash", "-c", text],
                cwd=twin / "tree",
                env={**env, "TMPDIR": str(twin / "tmp"), "GIT_TERMINAL_PROMPT": "0"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            found.append("ended with 0" if done.returncode == 0 else f"ended with {done.returncode}")
        return found

    def _ours(self) -> list[str]:
        found = []
        for line in (self.run_dir("work/1") / "stdout.jsonl").read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if message.get("type") != "user" or not isinstance(message["message"]["content"], list):
                continue
            for block in message["message"]["content"]:
                if block.get("type") == "tool_result":
                    text = block["content"] if isinstance(block["content"], str) else json.dumps(block["content"])
                    status = _STATUS.search(text)
                    if not block.get("is_error"):
                        found.append("ended with 0")
                    else:
                        found.append(f"ended with {status[1]}" if status else f"failed: {text[:120]}")
        return found
