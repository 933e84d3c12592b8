"""
Follows a script the way a shell would run it, and tells every program that it would start.

Where a shell would take one of two ways, both are followed; a loop is gone through once for each of its words.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from orchestrd.policy.shell.expansion import Expansion, unbraced
from orchestrd.policy.shell.invocation import Invocation, Redirection
from orchestrd.policy.shell.marks import HOLE, UNSET, hole
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
from orchestrd.policy.shell.state import MAX_TEXT, Held, Items, State
from orchestrd.policy.shell.streams import Streams

HIDDEN_RUN = re.compile(r"\w\[[^\]]*(?:\$\(|`)")
"""A variable's index is calculated, and a calculation may run commands."""
MAX_STEPS = 600
"""
So many steps are followed of one tool call, two for each command, and more for what is dearer: a step is some 0.1 ms of
CPU, and nobody should wait for more than 50 ms.
"""
_MAX_LOOPS = 12
_MAX_TURNS = 6
_MAX_PLACE = 64
_LOCAL = frozenset({"local", "declare", "typeset"})
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
        self._steps = 0.0
        self._calls: list[str] = []
        self._pipes = 0
        self._frames: list[dict[str, tuple[Held, bool]]] = []
        """For each function that is followed, what its local names were before, and whether they may still be it."""
        self._unsure = 0
        self._left: list[State] | None = None
        """The states in which the innermost loop is left; None outside of loops."""

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

    def declare(self, declared: tuple[Assignment, ...], expansion: Expansion, argv: list[str]) -> None:
        """
        Carry out the assignments of a declaration by *argv*, whose values are all expanded first.
        """
        before = self.state.copy()
        earlier = Expansion(before, self.capture, self.attach, self.spend)
        for assignment in declared:
            if not assignment.append:
                self.localize(assignment.name, argv)
            self.assign(assignment, earlier if len(declared) > 1 else expansion, declared=True)
            self.assigned(assignment.name)

    def localize(self, name: str, argv: Sequence[str]) -> bool:
        """
        True when *argv* gives the function that is followed a variable *name* of its own, which ends with it.
        """
        if not self._frames or argv[0] not in _LOCAL:
            return False
        if any(word.startswith("-") and "g" in word for word in argv[1:]):
            return False
        self._frames[-1].setdefault(name, (self.state.held(name), self._unsure > 0))
        return True

    def _end_locals(self) -> None:
        for name, (held, unsure) in self._frames.pop().items():
            after = self.state.copy()
            self.state.put_back(name, held)
            if unsure:
                self.state.join(after)  # it was declared on one way only

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """
        What is followed inside may not be run at all.
        """
        self._unsure += 1
        try:
            yield
        finally:
            self._unsure -= 1

    def leave(self, what: str) -> None:
        """
        The shell does not go on here: it leaves a ``loop``, a ``call`` or, altogether, the ``shell``.
        """
        if what == "loop":
            if self._left is None:
                return  # there is none, and the shell goes on
            self._left.append(self.state.copy())
        if what == "call" and not self._frames:
            return
        self.state.gone = what

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

    def assign(self, assignment: Assignment, expansion: Expansion, *, declared: bool = False) -> None:
        """
        Carry out an assignment in the state; of one that is *declared* the braces are expanded, the last way counts.
        """
        name, state = assignment.name, self.state
        if assignment.items is not None:
            items = self._before(name) if assignment.append else ()
            for one in assignment.items:
                if isinstance(one, Assignment):
                    items = _placed(items, expansion.value(one.index or ()), expansion.value(one.value))
                else:
                    found = expansion.fields(one)
                    items = (*items, *(found[0] if len(found) == 1 else (HOLE,)))
            state.assign_items(name, items)
        elif assignment.index is not None:
            at, value = expansion.value(assignment.index), expansion.value(assignment.value)
            if assignment.append:
                value = HOLE
            state.assign_items(name, _placed(self._before(name), at, value))
        else:
            for one in unbraced(assignment.value) if declared else (assignment.value,):
                values = expansion.values(one)
                if assignment.append:
                    values = tuple(before + value for before in state.value(name) for value in values)
                state.assign(name, *values)

    def _before(self, name: str) -> Items:
        """
        The items that *name* has so far.
        """
        if self.state.is_unknown(name):
            return ()
        found = self.state.items(name)
        return found[0] if len(found) == 1 else (HOLE,)

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
                    if "[" in value and HIDDEN_RUN.search(value):
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


def _placed(items: Items, place: str, value: str) -> Items:
    """
    *items* with *value* at a *place*; where that cannot be told, no place is known.
    """
    if not place.isdecimal() or int(place) > _MAX_PLACE:
        return (HOLE, *items, value)
    at = int(place)
    return (*items[:at], *[UNSET] * (at - len(items)), value, *items[at + 1 :])
