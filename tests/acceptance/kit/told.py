"""
What the journal tells while it is written: which agents are at work and whether they wait for the model alone, and how the
account's troubles went.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from kit.journal import Event

from orchestrd.domain.account import COMING_BACK


class Start(NamedTuple):
    """
    A run that began *at* a wall time; whether it *resumes* a conversation.
    """

    at: float
    run: str
    resumes: bool


class Episode(NamedTuple):
    """
    The account's trouble of one *cause*: *known* is when it was first told, *over* when the service had answered again (wall
    seconds); *tries* are the runs that began in between, *after* those that began in the ten minutes after it.
    """

    cause: str
    known: float
    over: float
    tries: list[Start]
    after: list[Start]


class Told:
    """
    What the journal of a *home* tells, as it grows.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._database = sqlite3.connect(f"file:{home / 'var' / 'orchestrd.db'}?mode=ro", uri=True)
        self._seq = 0
        self.events: list[Event] = []
        """Every fact, as of `kit.journal`."""
        self.open: dict[str, Talk] = {}
        """The runs that have begun and not ended."""
        self.starts: list[Start] = []
        self.exits: dict[str, float] = {}
        """When each run ended."""
        self.ended: dict[str, str] = {}
        """How each task ended."""

    def close(self) -> None:
        """
        Read no further.
        """
        self._database.close()

    def of(self, *types: str) -> list[Event]:
        """
        The facts of these types.
        """
        return [event for event in self.events if event["type"] in types]

    @property
    def episodes(self) -> list[Episode]:
        """
        Each trouble of the account, in order.
        """
        found: list[Episode] = []
        known: Event | None = None
        for event in self.of("account.blocked", "account.opened"):
            if event["type"] == "account.blocked":
                known = known or event
            elif known is not None:
                begin, end = known["at"], event["at"]
                tries = [start for start in self.starts if begin <= start.at < end]
                after = [start for start in self.starts if end <= start.at < end + COMING_BACK]
                found.append(Episode(known["event"]["cause"], begin, end, tries, after))
                known = None
        return found

    def look(self) -> bool:
        """
        Read on; true when something was new.
        """
        rows = self._database.execute(
            "SELECT seq, at, type, run, body FROM events WHERE seq > ? ORDER BY seq", (self._seq,)
        ).fetchall()
        for seq, at, kind, run, body in rows:
            event = json.loads(body)
            self._seq = seq
            self.events.append({"seq": seq, "at": at, "type": kind, "run": run, "event": event})
            if kind == "run.started":
                self.starts.append(Start(at, event["run"], event.get("resumes", False)))
                folder = self._home / "var" / "agent_logs" / event["run"]
                self.open[event["run"]] = Talk(event["session"], folder)
            elif kind == "run.exited":
                del self.open[event["run"]]
                self.exits[event["run"]] = at
            elif kind in {"task.succeeded", "task.failed"}:
                self.ended[event["task"].rpartition("/")[2]] = kind.rpartition(".")[2]
        return bool(rows)

    def waits(self, held: set[str]) -> bool:
        """
        True when every agent waits for the model, as these sessions do, and for nothing else.
        """
        return all(talk.session in held and not talk.asked() for talk in self.open.values())


class Talk:
    """
    What is said between the daemon and one agent, in the files of its run.
    """

    def __init__(self, session: str, folder: Path) -> None:
        self.session = session
        self._files = {folder / "stdin.jsonl": 0, folder / "stdout.jsonl": 0}
        self._open: set[str] = set()

    def asked(self) -> bool:
        """
        True while one of the two has asked the other something and has no answer.
        """
        for path, offset in self._files.items():
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
            data = data[: data.rfind(b"\n") + 1]
            self._files[path] = offset + len(data)
            for line in data.splitlines():
                if b'"control_re' in line:
                    # An answer may be read before its question.
                    self._open ^= {_request(json.loads(line))} - {""}
        return bool(self._open)


def _request(line: dict[str, Any]) -> str:
    if line.get("type") == "control_request":
        return str(line["request_id"])
    return str(line["response"]["request_id"]) if line.get("type") == "control_response" else ""
