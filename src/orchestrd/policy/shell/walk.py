"""
Follows a script the way a shell would run it, and tells every program that it would start.

Where a shell would take one of two ways, both are followed; a loop is gone through once for each of its words, or, when
it has none, until it changes nothing any more.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext

from orchestrd.policy.shell.assigning import Assigning
from orchestrd.policy.shell.invocation import Invocation, Redirection
from orchestrd.policy.shell.marks import HOLE, hole
from orchestrd.policy.shell.nodes import (
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

_INDEX = re.compile(r"\w\[")
MAX_STEPS = 600
"""
So many steps are followed of one tool call, two for each command, and more for what is dearer: a step is some 0.1 ms of
CPU, and nobody should wait for more than 50 ms.
"""
_MAX_LOOPS = 12
_MAX_TURNS = 6
_MAX_CALLS = 12
"""How deep functions and scripts may call each other."""


def has_hidden_run(text: str, opening: str = "") -> bool:
    """
    True when there is a variable with an index in *text*, or just an *opening* bracket: an index is calculated, and a
    calculation may run commands.
    """
    for piece in text.split("]") if "[" in text else ():
        begin = piece.find(opening) if opening else -1
        if not opening and (found := _INDEX.search(piece)) is not None:
            begin = found.start()
        if begin >= 0 and ("$(" in piece[begin:] or "`" in piece[begin:]):
            return True
    return False


class Walk(Assigning):
    """
    A shell that starts nothing.  What its commands print is followed as far as it is known.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.outer: tuple[str, ...] = ()
        self.elsewhere = False
        self._steps = 0.0
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
        self.spend(1)
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
                self.state.assign_items(command.name, (HOLE, HOLE))
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
        ways, before = self.state.ways, self.stdin
        left, unsure = self._left, self._unsure
        self.state.positional, self.stdin = arguments, stdin if stdin is not None else before
        self._left, self._unsure = None, 0
        self._calls.append(name)
        self._frames.append({})
        try:
            return self.command(body)
        finally:
            self._calls.pop()
            self._end_locals()
            self._left, self._unsure = left, unsure
            self.state.ways, self.stdin = ways, before
            if self.state.gone == "call":
                self.state.gone = ""

    # -- commands ----------------------------------------------------------------------------------------------------

    def _simple(self, command: Simple) -> str:
        self.spend(1)
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
            self.declare(command.declared, expansion, alternatives[0])
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
        if len(alternatives) > 1:
            self.state.gone = ""  # another of them may not leave
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

    def matched(self, pattern: str, argv: list[str]) -> None:
        """
        A shell would look for what *pattern*, an argument in *argv*, matches.
        """
        del pattern, argv

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
        self.spend(0.5)
        before = self.state.copy() if chain.operator == "||" else self.state
        if isinstance(chain.left, Chain):
            printed, stops = self._links(chain.left)
        else:
            printed, stops = self.command(chain.left), []
        reached = self.state.copy()
        with self.perhaps():
            if chain.operator == "&&":
                printed += self.command(chain.right)
                return printed, [*stops, reached]
            # The right side is run after whatever failed on the left, which may have failed at doing anything.
            for stop in stops:
                self.state.join(stop)
            if not stops:
                self.state.join(before)
            elif before.cwd != self.state.cwd:
                # Not joined: `cd sub && test || echo; cd ..` would stand nobody knows where ever after.
                after, self.state = self.state, before
                self.command(chain.right)
                self.state = after
            printed += self.command(chain.right)
        self.state.join(reached)
        return printed, []

    def _branches(self, branches: Branches) -> str:
        def body() -> str:
            printed = ""
            decided: list[State] = []
            for condition in branches.always.commands:
                decided.append(self.state.copy())
                printed += self.command(condition)
            for state in decided[1:]:
                self.state.join(state)  # what stands behind `elif` may not be reached
            expansion = self.expansion()
            for word in branches.words:
                for value in expansion.values(word):
                    if has_hidden_run(value):
                        raise Unreadable("an index that runs commands")
            start = self.state.copy()
            ends: list[State] = []
            onward: list[State] = []
            for at, branch in enumerate(branches.branches):
                self.state = start.copy()
                for end in onward:
                    self.state.join(end)
                with self.perhaps():
                    text = self.run(branch)
                printed = HOLE if text else printed
                ends.append(self.state)
                if at in branches.onward:
                    onward.append(self.state)
            self.state = ends.pop() if ends else start
            for end in [*ends, start] if branches.branches else []:
                self.state.join(end)
            return printed

        return self._within(branches.redirects, body)

    def _loop(self, loop: Loop) -> str:
        def body() -> str:
            before = self.state.copy()
            outer, self._left = self._left, []
            try:
                with self.perhaps():
                    printed = self._for_each(loop) if loop.name else self._again_and_again(loop)
                for state in [before, *self._left]:
                    self.state.join(state)
            finally:
                self._left = outer
            return printed

        return self._within(loop.redirects, body)

    def _for_each(self, loop: Loop) -> str:
        """
        The body once for each word.
        """
        if loop.words is None:
            items = [item for way in self.state.ways for item in way]
        else:
            found = self.expansion().commands(loop.words)
            items = [field for fields in found for field in fields]
        if len(items) > _MAX_LOOPS:
            items = [*items[: _MAX_LOOPS - 1], HOLE]
        printed = ""
        for item in items:
            self.state.assign(loop.name, item)
            printed += self._turn(loop)
        return printed

    def _again_and_again(self, loop: Loop) -> str:
        """
        The body until it changes nothing any more; what it changes each time is not known in the end.
        """
        self.expansion().commands(loop.words or ())
        left = self._left if self._left is not None else []
        printed = ""
        for turns_left in reversed(range(_MAX_TURNS)):
            start = self.state.snapshot()
            printed += self._turn(loop)
            end = self.state.snapshot()
            if not end.differs(start):
                break
            left.append(end)
            if turns_left == 1:
                for name in [name for name in end.variables if end.held(name) != start.held(name)]:
                    self.state.assign(name, hole(name))
        return HOLE if printed else ""  # nobody knows how often

    def _turn(self, loop: Loop) -> str:
        printed = self.run(loop.condition) + self.run(loop.body)
        if self.state.gone == "loop":
            self.state.gone = ""
        return printed

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

    def spend(self, steps: float) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            self._steps = MAX_STEPS + 1
            raise Unreadable("it runs too many commands to follow")
