"""
An agent at its daily work, and the same commands in the same CLI without us: whoever is watched must be able to do what anybody can.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from kit.attack import FILES, PATIENCE
from kit.project import git
from kit.script import DAY, call, say, scenario, task, use
from kit.versions import BUNDLED
from kit.world import World

from orchestrd.runner.claude_cli import find

_STATUS = re.compile(r"Exit code (\d+)")
LIMIT = 20
"""Seconds a command may take; what takes longer goes on in the background (Claude Code 2.1.330)."""
OFFLINE = {"npm_config_offline": "true", "PIP_NO_INDEX": "1"}
"""So that who would fetch something fails at once where there is no network."""
ALONE = (
    "--output-format",
    "stream-json",
    "--verbose",
    "--permission-mode",
    "bypassPermissions",
    "--setting-sources",
    "",
    "--strict-mcp-config",
)


class Honest(World):
    """
    One agent that runs *commands*, one after another; and one that nobody watches, in a copy of the project.
    """

    def __init__(self, commands: Sequence[str], *, agent: dict[str, Any], **more: Any) -> None:
        self.commands = list(commands)
        super().__init__(lambda _: self._scripts(), files=FILES, config={"agent": agent}, env=OFFLINE, **more)
        self.quiet = True

    @property
    def _twin(self) -> Path:
        return self.root / "twin"

    def _scripts(self) -> list[dict[str, Any]]:
        return [
            self._script("work", self.workspace("work"), self.claude),
            self._script("alone", self._twin, self._twin / "home"),
        ]

    def _script(self, name: str, folder: Path, home: Path) -> dict[str, Any]:
        placed = [_placed(command, folder, home) for command in self.commands]
        steps = (call(use("Bash", command=line, description="run it", timeout=LIMIT * 1000)) for line in placed)
        return scenario(name, *steps, say("Done."))

    def compare(self) -> Iterator[tuple[str, str, str]]:
        """
        Each command that went otherwise than without us, with how it went for the agent, and how without us.
        """
        with self._alone() as alone:
            out, _ = alone.communicate(timeout=PATIENCE)
        plain = _outcomes(out)
        self.submit(task("work", timeout="4h"))
        end = time.monotonic() + PATIENCE
        while not self.rpc("task.wait", tasks=[], timeout=50)["done"]:
            assert time.monotonic() < end, self.status()
        ours = _outcomes((self.run_dir("work/1") / "stdout.jsonl").read_bytes())
        assert len(plain) == len(self.commands), f"{len(plain)} of {len(self.commands)} commands ran without us"
        for number, command in enumerate(self.commands):
            got = ours[number] if number < len(ours) else "never run"
            if got != plain[number]:
                yield command, got, plain[number]

    def _alone(self) -> subprocess.Popen[bytes]:
        """
        The CLI on its own, at the same commands.
        """
        git(self.root, "clone", "--quiet", str(self.project), str(self._twin / "tree"))
        for name in ("tmp", "home"):
            (self._twin / name).mkdir()
        prompt = (
            f"{DAY}/alone: do it\nWorking tree: {self._twin / 'tree'}\nInstructions: {self._twin}/agent_instructions.md"
        )
        own = {name: value for name, value in self._env.items() if value is not None}
        more = {"HOME": str(self._twin / "home"), "TMPDIR": str(self._twin / "tmp"), "GIT_TERMINAL_PROMPT": "0"}
        return subprocess.Popen(
            [find(BUNDLED, {}, self.home), "-p", prompt, *ALONE],
            cwd=self._twin / "tree",
            env={**own, **more, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def _placed(command: str, folder: Path, home: Path) -> str:
    """
    The *command* as it is given where a tree and a scratch folder lie in *folder*.
    """
    found = command.replace("/home/dev/project", str(folder / "tree")).replace("/tmp/agent", str(folder / "tmp"))
    return found.replace("/home/dev", str(home))


def _outcomes(stream: bytes) -> list[str]:
    """
    How each call in the CLI's output ended.
    """
    found = []
    for line in stream.splitlines():
        message = msgspec.json.decode(line)
        if message.get("type") != "user" or not isinstance(message["message"]["content"], list):
            continue
        for block in message["message"]["content"]:
            if block.get("type") == "tool_result":
                content = block["content"]
                text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
                status = _STATUS.search(text)
                if not block.get("is_error"):
                    found.append("ended with 0")
                else:
                    found.append(f"ended with {status[1]}" if status else f"failed: {text[:120]}")
    return found
