"""
I9: no secret of the agents' environment and no prompt is where people and scripts look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from orchestrd.audit.finding import Notes
from orchestrd.audit.picture import Picture
from orchestrd.config import agent_environment, load_config
from orchestrd.errors import ConfigError
from orchestrd.redaction import secrets_of
from orchestrd.storage.regular import read_regular

PROMPT_LENGTH = 24
"""Characters from which on a line of a description is taken for nobody's but its own."""
PART = 1 << 20


class Sought(msgspec.Struct, frozen=True):
    """
    A text that must not be found, and what it is.
    """

    text: str
    what: str


class Searcher:
    """
    Looks for many texts at once, as they are and as JSON has them.
    """

    def __init__(self, sought: Iterable[Sought]) -> None:
        self._known: dict[bytes, str] = {}
        for one in sought:
            for form in (one.text, json.dumps(one.text)[1:-1], json.dumps(one.text, ensure_ascii=False)[1:-1]):
                self._known.setdefault(form.encode("utf-8", "surrogatepass"), one.what)
        forms = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, forms))) if forms else None
        self._overlap = max(map(len, forms), default=0)

    def find(self, data: bytes) -> set[str]:
        """
        What of it is in *data*.
        """
        return {self._known[match] for match in self._pattern.findall(data)} if self._pattern else set()

    def find_in(self, path: Path) -> set[str]:
        """
        What of it is in the file at *path*; nothing when that is no file that can be read.
        """
        found: set[str] = set()
        if self._pattern is None:
            return found
        try:
            with path.open("rb") as file:
                held = b""
                while part := file.read(PART):
                    held += part
                    found |= self.find(held)
                    held = held[len(held) - self._overlap :]
        except OSError:
            return found
        return found


def check_secrecy(picture: Picture, logs: Iterable[Path] = ()) -> Notes:
    """
    I9; *logs* are more files that the daemon's log went to.
    """
    notes = Notes("I9")
    secrets = Searcher(_secrets(picture, notes))
    prompts = Searcher(_prompts(picture, notes))
    home = picture.home
    for path in [*home.var.glob("orchestrd.out*"), *logs]:
        notes.count("logs")
        for what in sorted(secrets.find_in(path) | prompts.find_in(path)):
            hint = "Remove the file, and change the secret if others could read it."
            notes.problem(_named(picture, path), f"holds {what}", hint=hint)
    for path in [*home.status.glob("*/*.json"), *home.results.glob("*-report.*")]:
        notes.count("files")
        found = secrets.find_in(path)
        if path.suffix == ".json" and path.is_relative_to(home.status):
            found |= _prompts_shown(path, prompts)
        for what in sorted(found):
            notes.problem(_named(picture, path), f"holds {what}", hint="Change the secret if others could read it.")
    for seq, body in _bodies(picture):
        for what in sorted(secrets.find(body)):
            notes.problem(f"fact {seq}", f"holds {what}", hint="The journal keeps what it has: change the secret.")
    return notes


def _secrets(picture: Picture, notes: Notes) -> Iterator[Sought]:
    """
    The secrets that agents were given, or would be.
    """
    specs = [spec for run in picture.runs if (spec := picture.spec(run.key)) is not None]
    environments = [spec.env for spec in specs]
    try:
        environments.append(agent_environment(load_config(picture.home.root).agent, dict(picture.environ)))
    except ConfigError:
        pass  # what was given before is known all the same
    pairs = {(name, value) for env in environments for name, value in env.items()}
    for name, value in sorted(pairs):
        for secret in sorted(secrets_of({name: value})):
            notes.count("secrets")
            yield Sought(secret, f"the value of {name}")
    kept = {secret for spec in specs for secret in spec.secrets} - secrets_of(*environments)
    for secret in sorted(kept):
        notes.count("secrets")
        yield Sought(secret, "a key that agents are not shown")


def _prompts(picture: Picture, notes: Notes) -> Iterator[Sought]:
    """
    The descriptions of tasks, and every long line of them; a description that the task's name repeats is no secret.
    """
    for task in picture.tasks:
        text = task.spec.description.strip()
        lines = {text, *(line.strip() for line in text.splitlines())}
        shown = {line for line in lines if len(line) >= PROMPT_LENGTH and line not in task.spec.name}
        notes.count("prompts", bool(shown))
        for line in shown:
            yield Sought(line, f"the prompt of {task.key}")


def _prompts_shown(path: Path, prompts: Searcher) -> set[str]:
    """
    The prompts that a status file shows, apart from what the agent says and asks.
    """
    try:
        shown = msgspec.json.decode(read_regular(path, 1 << 24))
        rest = {name: value for name, value in shown.items() if name not in ("activity", "why")}
    except (OSError, msgspec.DecodeError, AttributeError):
        return prompts.find_in(path)
    return prompts.find(msgspec.json.encode(rest))


def _bodies(picture: Picture) -> Iterator[tuple[int, bytes]]:
    encode = msgspec.json.Encoder().encode
    for record in picture.ledger.records:
        yield record.seq, encode(record.event)


def _named(picture: Picture, path: Path) -> str:
    return str(path.relative_to(picture.home.root)) if path.is_relative_to(picture.home.root) else str(path)
