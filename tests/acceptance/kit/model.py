"""
The rehearsal model as a process of its own, and what it billed: the truth that every account is held against.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from kit.files import wait_file
from kit.script import PRICES


class Model:
    """
    Serves *scenarios* from files in *root*.
    """

    def __init__(self, root: Path, scenarios: list[dict[str, Any]]) -> None:
        path, ready = root / "scenarios.yaml", root / "rehearsal.url"
        path.write_text(yaml.safe_dump({"scenarios": scenarios}), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrd.rehearsal", str(path), "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        self.url = wait_file(ready, lambda data: data.decode().strip(), writer=self.process)

    def ledger(self) -> list[dict[str, Any]]:
        """
        Every answer so far.
        """
        with urllib.request.urlopen(f"{self.url}/rehearsal/ledger", timeout=30) as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return found

    def truth(self, *scenarios: str) -> int:
        """
        Nano-USD of every finished answer (of these *scenarios*).
        """
        return sum(
            cost(entry)
            for entry in self.ledger()
            if entry["finished"] and (not scenarios or entry["scenario"] in scenarios)
        )


def cost(entry: dict[str, Any]) -> int:
    """
    Nano-USD of one answer in the model's books.
    """
    return sum(tokens * PRICES[entry["model"]][kind] for kind, tokens in (entry["usage"] or {}).items())
