"""
A whole small world for one test: a project, a home, the rehearsal model, and the daemon, client and Claude Code CLI as
real processes, with a clean environment of their own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

from kit.files import wait_file
from kit.ground import Ground
from kit.model import Model
from kit.script import DAY


class World(Ground):
    """
    A `Ground` whose agents are the real CLI against the rehearsal model.
    """

    def __init__(self, scenarios: list[dict[str, Any]] | Callable[[World], list[dict[str, Any]]], **more: Any) -> None:
        """
        *scenarios* may be made with this world's paths known; *more* as for `Ground`.
        """
        self._scenarios = scenarios
        self._model: Model | None = None
        super().__init__(**more)

    def furnish(self) -> dict[str, str]:
        scenarios = self._scenarios(self) if callable(self._scenarios) else self._scenarios
        self._model = Model(self.root, scenarios)
        return {"ANTHROPIC_API_KEY": "sk-rehearsal", "ANTHROPIC_BASE_URL": self._model.url, "IS_SANDBOX": "1"}

    def agent_settings(self) -> dict[str, Any]:
        return {**super().agent_settings(), "binary": "bundled"}

    def helpers(self) -> list[subprocess.Popen[bytes]]:
        return [self._model.process] if self._model else []

    def ledger(self) -> list[dict[str, Any]]:
        """
        Everything the rehearsal model billed.
        """
        return self._model.ledger() if self._model else []

    def truth(self, *scenarios: str) -> int:
        """
        Nano-USD of every finished answer (of these *scenarios*).
        """
        return self._model.truth(*scenarios) if self._model else 0

    def wait_transcript(self, run: str, answer: tuple[str, int]) -> None:
        """
        Wait until the *answer*, by scenario and step, is billed whole and in the CLI's own transcript: what is younger
        when the process is killed is nowhere to be read, and is asked again.
        """
        session = self.events("run.started", run=f"{DAY}/{run}")[0]["event"]["session"]
        entry = next(e for e in self.ledger() if (e["scenario"], e["step"]) == answer)
        main = next((self.claude / ".claude" / "projects").glob(f"*/{session}.jsonl"))
        if answer[0] != run.split("/", maxsplit=1)[0]:
            main = next((main.parent / session / "subagents").glob("*.jsonl"))
        wanted = entry["message"].encode()
        wait_file(main, lambda data: any(wanted in line and b'"assistant"' in line for line in data.splitlines()))
