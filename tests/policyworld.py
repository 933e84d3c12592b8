"""
What the tests of the policy share: a scope, the corpora, and a shell that starts nothing and tells what it would start.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from orchestrd.policy.engine import judge_command
from orchestrd.policy.scope import Scope
from orchestrd.policy.shell.expansion import Expansion
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, cleaned, shown
from orchestrd.policy.shell.nodes import Simple
from orchestrd.policy.shell.parser import parse
from orchestrd.policy.shell.state import State
from orchestrd.policy.shell.walk import Walk
from orchestrd.policy.verdict import Verdict

TREE = "/home/dev/project"
SCOPE = Scope(tree=TREE, scratch=("/tmp/agent",))
DATA = Path(__file__).parent / "data" / "policy"


class Case(msgspec.Struct, frozen=True):
    """
    A command line and the verdict it should get; *note* says where it is from or what it is about.
    """

    command: str
    category: str
    verdict: str
    rule: str
    note: str


def corpus(name: str) -> list[Case]:
    """
    The cases of the corpus *name*, in their order.
    """
    return msgspec.json.decode(
        b"[" + (DATA / f"{name}.jsonl").read_bytes().strip().replace(b"\n", b",") + b"]", type=list[Case]
    )


def verdict(command: str, cwd: str = TREE) -> Verdict:
    """
    The verdict on *command* of an agent that stands in *cwd*.
    """
    return judge_command(command, SCOPE, cwd)


def rule(command: str, cwd: str = TREE) -> str:
    """
    The rule that decided about *command*; "none" when it is allowed.
    """
    return verdict(command, cwd).rule


class Recorder(Walk):
    """
    A walk that keeps what would be started; of programs it knows only what the shell itself must know of them.
    """

    def __init__(self, **variables: str) -> None:
        super().__init__(State((TREE,), {name: (value,) for name, value in variables.items()}))
        self.started: list[Invocation] = []

    def invoke(self, invocation: Invocation) -> str:
        self.spend(1)
        if not invocation.argv:
            return invocation.stdin or ""
        name, *rest = invocation.argv
        if name in self.state.functions:
            return self.call(name, tuple(rest), self.state.functions[name], invocation.stdin)
        self.started.append(invocation)
        match name:
            case "echo":
                return " ".join(rest) + "\n"
            case "unset":
                for one in rest:
                    self.state.unset(one)
                return ""
            case "cat" if not rest:
                return invocation.stdin if invocation.stdin is not None else HOLE
            case "cat":
                return "".join(self.content(path) for path in rest)
            case _:
                return HOLE


def started(text: str, **variables: str) -> list[tuple[str, ...]]:
    """
    The argv of everything that *text* would start, in order; a hole is written ``$name``.
    """
    recorder = Recorder(**variables)
    recorder.run(parse(cleaned(text)))
    return [tuple(shown(word) for word in one.argv) for one in recorder.started]


def fields(words: str, state: State | None = None, /, **variables: str) -> list[str]:
    """
    The fields that *words*, as they stand in a command line, become; a hole is written ``$name``.
    """
    if state is None:
        state = State((TREE,), {name: (value,) for name, value in variables.items()})
    (command,) = parse(cleaned(words)).commands
    assert isinstance(command, Simple), command
    assert not command.redirects, command
    expansion = Expansion(state, lambda _: HOLE, lambda _: HOLE)
    (found,) = expansion.commands(command.words)
    return [shown(field) for field in found]


def gap(*values: object) -> object:
    """
    A row of a table for what is known to go wrong: when it no longer does, the test says so.
    """
    return pytest.param(*values, marks=pytest.mark.xfail(strict=True, reason="known to go wrong"))
