"""
Follows a script the way a shell would run it, and tells every program that it would start.

Where a shell would take one of two ways, both are followed; a loop is gone through once for each of its words.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext

from orchestrd.policy.shell.expansion import Expansion
from orchestrd.policy.shell.invocation import Invocation, Redirection
from orchestrd.policy.shell.marks import HOLE
from orchestrd.policy.shell.nodes import (
    Assignment,
    Branches,
    Chain,
    Command,
    Coprocess,
    Function,
    Group,
    Loop,
    Pipeline,
    Redirect,
    Script,
    Simple,
    Unreadable,
)
from orchestrd.policy.shell.state import MAX_TEXT, State
from orchestrd.policy.shell.streams import Streams

HIDDEN_RUN = re.compile(r"\w\[[^\]]*(?:\$\(|`)")
"""A variable's index is calculated, and a calculation may run commands."""
MAX_STEPS = 2000
"""So many commands are followed of one tool call."""
_MAX_LOOPS = 12
_MAX_CALLS = 12
"""How deep functions and scripts may call each other."""


class Walk(Streams):
    """
    A shell that starts nothing.  What its commands print is followed as far as it is known.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.outer: tuple[str, ...] = ()
        self.elsewhere = False
        self._steps = 0
        self._calls: list[str] = []
        self._pipes = 0

    @abstractmethod
    def invoke(self, invocation: Invocation) -> str:
        """
        What *invocation* prints; it may change the state.
        """

    def run(self, script: Script) -> str:
        """
        Follow *script*; what it prints.

        Raises `Unreadable`.
        """
        printed = ""
        for at, command in enumerate(script.commands):
            if at in script.background:
                self._pipes += 1
                with self.subshell():
                    printed += self.command(command)
                self._pipes -= 1
            else:
                printed += self.command(command)
            if len(printed) > MAX_TEXT:
                printed = HOLE
        return printed

    def command(self, command: Command) -> str:
        """
        Follow one command; what it prints.
        """
        if isinstance(command, Simple):
            return self._simple(command)
        self._step()
        match command:
            case Pipeline():
                return self._pipeline(command)
            case Chain():
                return self._chain(command)
            case Group():
                with self.subshell() if command.subshell else nullcontext():
                    return self._within(command.redirects, lambda: self.run(command.body))
            case Branches():
                return self._branches(command)
            case Loop():
                return self._loop(command)
            case Function():
                self.state.functions[command.name] = command.body
                if command.name == "command_not_found_handle":
                    self.command(command.body)
                return ""
            case Coprocess():
                before, self.stdin = self.stdin, HOLE
                with self.subshell():
                    self.command(command.body)
                self.stdin = before
                self.state.arrays[command.name] = (HOLE, HOLE)
                return ""

    def call(self, name: str, arguments: tuple[str, ...], body: Command, stdin: str | None) -> str:
        """
        Follow a function's *body*.

        Raises `Unreadable` when it calls itself beside itself, which is a fork bomb.
        """
        if name in self._calls:
            if self._pipes:
                raise Unreadable(f"{name} starts itself again and again")
            return HOLE
        if len(self._calls) >= _MAX_CALLS:
            raise Unreadable("functions call each other too deeply")
        positional, before = self.state.positional, self.stdin
        self.state.positional, self.stdin = arguments, stdin if stdin is not None else before
        self._calls.append(name)
        try:
            return self.command(body)
        finally:
            self._calls.pop()
            self.state.positional, self.stdin = positional, before

    # -- commands ----------------------------------------------------------------------------------------------------

    def _simple(self, command: Simple) -> str:
        self._step()
        expansion = self.expansion()
        if not command.words:
            printed = self.invoke_redirections(command.redirects)
            for assignment in command.assignments:
                self.assign(assignment, expansion)
                self.assigned(assignment.name)
            return printed
        alternatives = expansion.commands(command.words)
        environment = {one.name: expansion.value(one.value) for one in command.assignments}
        if command.assignments:
            self._reassigned(command, alternatives)
        redirections, stdin = self.opened(command.redirects)
        if command.declared:
            self.declare(command.declared, expansion)
        for pattern in expansion.patterns:
            self.matched(pattern, alternatives[0])
        names = [one.name for one in command.declared]
        texts: list[str] = []
        for argv in alternatives:
            invocation = Invocation(
                argv=(*argv, *names),
                environment=environment,
                redirections=redirections,
                stdin=stdin,
                cwd=self.state.cwd,
                through=self.outer,
                elsewhere=self.elsewhere,
            )
            text = self.invoke(invocation) if argv or names else HOLE
            if text not in texts:
                texts.append(text)
        return self.routed(redirections, texts[0] if len(texts) == 1 else HOLE)

    def _reassigned(self, command: Simple, alternatives: list[list[str]]) -> None:
        """
        ``A=b prog $A``: the words are expanded before A is assigned, but who writes so may believe the other.
        """
        before = self.state
        self.state = before.copy()
        expansion = self.expansion()
        for assignment in command.assignments:
            self.assign(assignment, expansion)
        for argv in expansion.commands(command.words):
            if argv not in alternatives:
                alternatives.append(argv)
        self.state = before

    def declare(self, declared: tuple[Assignment, ...], expansion: Expansion) -> None:
        """
        Carry out the assignments of a declaration, whose values are all expanded first.
        """
        before = self.state.copy()
        earlier = Expansion(before, self.capture, self.attach)
        for assignment in declared:
            self.assign(assignment, earlier if len(declared) > 1 else expansion)
            self.assigned(assignment.name)

    def matched(self, pattern: str, argv: list[str]) -> None:
        """
        A shell would look for what *pattern*, an argument in *argv*, matches.
        """
        del pattern, argv

    def assigned(self, name: str) -> None:
        """
        *name* has got another value.
        """
        del name

    def assign(self, assignment: Assignment, expansion: Expansion) -> None:
        """
        Carry out an assignment in the state.
        """
        name, state = assignment.name, self.state
        if assignment.items is not None:
            items = tuple(field for fields in expansion.commands(assignment.items)[:1] for field in fields)
            state.arrays[name] = (*state.arrays.get(name, ()), *items) if assignment.append else items
            state.variables.pop(name, None)
        elif assignment.index is not None:
            items = state.arrays.get(name, ())
            at = expansion.value(assignment.index)
            value = expansion.value(assignment.value)
            if at.isdecimal() and int(at) <= len(items):
                state.arrays[name] = (*items[: int(at)], value, *items[int(at) + 1 :])
            else:
                state.arrays[name] = (*items, value, HOLE)
        else:
            values = expansion.values(assignment.value)
            if assignment.append:
                values = tuple(before + value for before in state.value(name) for value in values)
            state.assign(name, *values)

    def _pipeline(self, pipeline: Pipeline) -> str:
        before = self.stdin
        self._pipes += 1
        printed = ""
        try:
            for command in pipeline.commands:
                with self.subshell():
                    printed = self.command(command)
                self.stdin = printed
        finally:
            self.stdin = before
            self._pipes -= 1
        return printed

    def _chain(self, chain: Chain) -> str:
        printed, stops = self._links(chain)
        for stop in stops:
            self.state.join(stop)
        return printed

    def _links(self, chain: Chain) -> tuple[str, list[State]]:
        """
        What a chain prints, and the states in which it may stop before its end.
        """
        if isinstance(chain.left, Chain):
            printed, stops = self._links(chain.left)
        else:
            printed, stops = self.command(chain.left), []
        reached = self.state.copy()
        if chain.operator == "&&":
            printed += self.command(chain.right)
            return printed, [*stops, reached]
        # The right side is run after whatever failed on the left.
        for stop in stops:
            self.state.join(stop)
        printed += self.command(chain.right)
        self.state.join(reached)
        return printed, []

    def _branches(self, branches: Branches) -> str:
        def body() -> str:
            printed = self.run(branches.always)
            expansion = self.expansion()
            for word in branches.words:
                for value in expansion.values(word):
                    if "[" in value and HIDDEN_RUN.search(value):
                        raise Unreadable("an index that runs commands")
            start = self.state.copy()
            ends: list[State] = []
            for branch in branches.branches:
                self.state = start.copy()
                text = self.run(branch)
                printed = HOLE if text else printed
                ends.append(self.state)
            self.state = ends.pop() if ends else start
            for end in [*ends, start] if branches.branches else []:
                self.state.join(end)
            return printed

        return self._within(branches.redirects, body)

    def _loop(self, loop: Loop) -> str:
        def body() -> str:
            expansion = self.expansion()
            if loop.words is None:
                items = list(self.state.positional) if loop.name else [""]
            else:
                items = [field for fields in expansion.commands(loop.words) for field in fields]
            if len(items) > _MAX_LOOPS:
                items = [*items[: _MAX_LOOPS - 1], HOLE]
            before = self.state.copy()
            printed = ""
            for item in items if loop.name else [""]:
                if loop.name:
                    self.state.assign(loop.name, item)
                printed += self.run(loop.condition)
                printed += self.run(loop.body)
            self.state.join(before)
            if loop.name or not printed:
                return printed
            return HOLE  # nobody knows how often

        return self._within(loop.redirects, body)

    # -- what is read and written ------------------------------------------------------------------------------------

    def _within(self, redirects: tuple[Redirect, ...], body: Callable[[], str]) -> str:
        """
        What *body* prints when its input and output are redirected.
        """
        if not redirects:
            return body()
        redirections, stdin = self.opened(redirects)
        self.invoke(self._bare(redirections, None))
        before = self.stdin
        self.stdin = stdin
        try:
            return self.routed(redirections, body())
        finally:
            self.stdin = before

    def invoke_redirections(self, redirects: tuple[Redirect, ...]) -> str:
        """
        Redirections without a command: the files are opened all the same.
        """
        redirections, stdin = self.opened(redirects)
        if redirections:
            self.invoke(self._bare(redirections, stdin))
        if stdin is not None and any(not one.writes for one in redirections):
            return stdin  # `$(< file)`
        return self.routed(redirections, "")

    def _bare(self, redirections: tuple[Redirection, ...], stdin: str | None) -> Invocation:
        return Invocation(
            argv=(),
            redirections=redirections,
            stdin=stdin,
            cwd=self.state.cwd,
            through=self.outer,
            elsewhere=self.elsewhere,
        )

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Unreadable("it runs too many commands to follow")
