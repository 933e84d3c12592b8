"""
Follows a command line to every program it would run, and has each judged.

The order for each program: what it is (a function, a link, a builtin), what it runs (wrappers, shells, interpreters,
runners), what it does itself (git, databases, files …), what its arguments name (paths, secrets), what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from orchestrd.policy.ground import Ground
from orchestrd.policy.origin import Origin, forgiven
from orchestrd.policy.scope import Files, Place, Scope
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.escapes import as_word
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, UNSET, is_known, shown
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.parser import parse
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.shell.patterns import fitting
from orchestrd.policy.shell.walk import has_hidden_run
from orchestrd.policy.variablenames import without_values
from orchestrd.policy.verdict import Rule, Verdict, deny

MAX_SCRIPT = 200_000
"""
A longer script (characters) is not followed: it is refused where it is new, and left alone where it is the project's.
"""
_PARTS = 16
"""Parts of a text (`orchestrd.policy.shell.words.MAX_PARTS`) that are as dear to read as a step is to follow."""
_MAX_SHOWN = 100
"""More words than this are never told of: a target is cut."""
_MAX_DEPTH = 12
_TILDE = re.compile(r"~(?:[\w.-]*(?:/|$))")
_SHOWING = frozenset({"ls", "cat", "stat", "test", "["})
"""Programs that expand no tilde themselves: one that is still there was quoted, and is a file's name."""
_PATTERN = re.compile(r"[*?\[(]")

Handler = Callable[["Inquiry", Invocation], str | None]
"""Judges or follows one program; what it prints, or None to go on with the next handler."""


class Same(Enum):
    """
    What an inner program reads: the same as the outer one.
    """

    SAME = "same"


REASONS: dict[Rule, str] = {
    "git": (
        "Version control may only be read here: no staging, committing, pushing or any other change. Leave your "
        "changes uncommitted; the person reviews and commits them."
    ),
    "db": (
        "Databases may not be changed and migrations may not be run. Create the migration file, say so in the "
        "summary, and leave running it to the person."
    ),
    "delete": (
        "Project files may not be deleted or moved away. Name in the summary the files that should go; scratch "
        "files belong into $TMPDIR, where you may delete."
    ),
    "outside": (
        "Only the working tree and the scratch folder ($TMPDIR) may be used, and the machine may not be changed. "
        "Work with what is in the project."
    ),
    "secret": (
        "Secrets may not be read. Work without the values; examples such as .env.example and the names of "
        "variables are fine."
    ),
    "exec-unknown": (
        "Only commands that can be read before they run are run. Write the command out, with its program and arguments."
    ),
    "none": "",
}
"""What follows each objection: the rule, and the way out."""


class Handlers(NamedTuple):
    """
    Which handlers a program has: *named* by the name that *name* gives an invocation, or else *others*; *guarded* are
    the programs that a pattern may stand for, *script* follows a program that is a file, *environment* judges
    variables, and *code* a program's text in a language.
    """

    named: dict[str, tuple[Handler, ...]]
    others: tuple[Handler, ...]
    name: Callable[[Invocation], str]
    guarded: tuple[str, ...]
    script: Handler
    environment: Callable[[Inquiry, Invocation], None]
    code: Callable[[Inquiry, Invocation, str, str], str]


class Inquiry(Ground):
    """
    One command line under judgement: `found` has what was objected to.
    """

    def __init__(self, scope: Scope, cwd: str, files: Files, handlers: Handlers) -> None:
        super().__init__(scope, cwd, files)
        self.found: list[Verdict] = []
        self.author = Origin.LINE
        """Who wrote what is followed just now."""
        self.let_pass = False
        """True once a line of the person's allowed a program that is run."""
        self._handlers = handlers
        self._depth = 0

    # -- following ---------------------------------------------------------------------------------------------------

    def text(self, text: str, *, stdin: str | None = None, arguments: tuple[str, ...] | None = None) -> str:
        """
        Follow a *text* for a shell, in a state of its own; what it prints.

        Raises `Unreadable`.
        """
        with self.subshell():
            if arguments is not None:
                self.state.positional = arguments
            return self.text_here(text, stdin)

    def text_here(self, text: str, stdin: str | None) -> str:
        """
        Follow a *text* in this very shell: what it assigns stays.

        Raises `Unreadable`.
        """
        if len(text) > MAX_SCRIPT:
            raise Unreadable("a script that is too long to follow")
        self.spend(len(text) / 1000)
        before, self.stdin = self.stdin, stdin
        try:
            with self._deeper("scripts call each other too deeply"):
                script = parse(text, self._depth, spend=lambda parts: self.spend(parts / _PARTS))
                # What somebody else reads may use a name to get at its value.
                return self.run(without_values(script) if self._depth == 1 and "env" in text else script)
        finally:
            self.stdin = before

    def argv(
        self,
        invocation: Invocation,
        argv: tuple[str, ...],
        *,
        through: str = "",
        environment: dict[str, str] | None = None,
        stdin: str | Same | None = Same.SAME,
        cwd: tuple[str, ...] | None = None,
        elsewhere: bool | None = None,
    ) -> str:
        """
        Follow *argv* as what *invocation* runs; what it prints.  What is not given is the same for both.

        Raises `Unreadable`.
        """
        if not argv:
            return ""
        inner = Invocation(
            argv=argv,
            environment=invocation.environment if environment is None else environment,
            stdin=invocation.stdin if stdin is Same.SAME else stdin,
            cwd=invocation.cwd if cwd is None else cwd,
            through=(*invocation.through, through or invocation.program),
            elsewhere=invocation.elsewhere if elsewhere is None else elsewhere,
        )
        with self._deeper("programs call each other too deeply"):
            return self.invoke(inner)

    def code(self, call: Invocation, language: str, text: str) -> str:
        """
        Judge the program *text*, which *call* runs.

        Raises `Unreadable`.
        """
        return self._handlers.code(self, call, language, text)

    def invoke(self, invocation: Invocation) -> str:
        if not invocation.elsewhere:
            for one in invocation.redirections:
                self.use(one.path, invocation, writes=one.writes)
        if not invocation.argv:
            return invocation.stdin or ""
        self.spend(1 + len(invocation.argv) / 16 + sum(map(len, invocation.argv)) / 250)
        name = invocation.argv[0]
        if not is_known(name):
            self.object("exec-unknown", invocation, f"which program `{shown(name)}` is cannot be read")
            return HOLE
        if not invocation.through:
            body, alias = self.state.functions.get(name), self.state.aliases.get(name)
            if body is not None:
                return self.call(name, invocation.argv[1:], body, invocation.stdin)
            if alias is not None:
                return self.text(" ".join([alias, *map(as_word, invocation.argv[1:])]), stdin=invocation.stdin)
        invocation = self._real(invocation)
        said = self.scope.amendments.command(invocation.argv)
        if said is None:
            return self._judged(invocation)
        if said.decision == "deny":
            self.found.append(said)
            return HOLE
        self.let_pass = self.let_pass or said.allowed
        if invocation.environment:
            # Which is not what the person wrote.
            self._handlers.environment(self, invocation)
        with self.excused(said):
            return self._judged(invocation)
        return HOLE  # it could not be read to its end

    def _judged(self, invocation: Invocation) -> str:
        """
        What the program prints, once its handlers had their say.
        """
        name = invocation.argv[0]
        if "/" in name and (self.is_new(name) or self.on_disk(name) is not None):
            own = self._handlers.script(self, invocation)
            if own is not None:
                return own
        program = self._handlers.name(invocation)
        handlers = self._handlers.named.get(program)
        if handlers is not None and program != invocation.program:  # psql-17 is judged as psql
            invocation = invocation.renamed(invocation.argv[0].removesuffix(invocation.program) + program)
        for handler in handlers or self._handlers.others:
            printed = handler(self, invocation)
            if printed is not None:
                return printed
        return HOLE

    def knows(self, program: str) -> bool:
        """
        True when *program* has handlers of its own.
        """
        return program in self._handlers.named

    @contextmanager
    def following(self, author: Origin, text: str) -> Iterator[None]:
        """
        What is followed inside is *text*, from a file of this *author*'s: of the project's own, what cannot be read is left alone.
        """
        del text
        before, self.author = self.author, author
        try:
            yield
        except Unreadable:
            if "exec-unknown" not in self._forgiven:
                raise
        finally:
            self.author = before

    @property
    def _forgiven(self) -> frozenset[Rule]:
        return forgiven(self.author, contained=self.scope.contained)

    @contextmanager
    def excused(self, said: Verdict) -> Iterator[None]:
        """
        What is followed inside is as the person *said*, allowed or asked about: of what is objected to there only what protects this
        program itself counts, and what the person says of a part of it.
        """
        before = len(self.found)
        try:
            yield
        except Unreadable:
            pass  # whatever it is, the person knows it
        finally:
            kept = [one for one in self.found[before:] if one.fixed or one.person]
            self.found[before:] = [*kept, *([] if said.allowed else [said])]

    @contextmanager
    def away(self) -> Iterator[None]:
        """
        What is followed inside is run on another machine.
        """
        before, self.elsewhere = self.elsewhere, True
        try:
            yield
        finally:
            self.elsewhere = before

    @contextmanager
    def _deeper(self, why: str) -> Iterator[None]:
        if self._depth >= _MAX_DEPTH:
            raise Unreadable(why)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _real(self, invocation: Invocation) -> Invocation:
        """
        *invocation* with its program by its real name, where it is a link, a copy or a pattern.
        """
        name, links = invocation.argv[0], self.state.links
        if links:
            target = links.get(absolute(name, invocation.cwd[-1])) if "/" in name or name in links else None
            if "/" not in name and name not in links and ("PATH" in invocation.environment | self.state.variables):
                target = next((linked for path, linked in links.items() if path.endswith("/" + name)), None)
            if target is not None:
                return invocation.renamed(target)
        if _PATTERN.search(name) and name not in {"[", "[["}:
            base = name.rsplit("/", 1)[-1]
            matching = fitting(self._handlers.guarded, base)
            for other in matching[1:]:
                self.argv(invocation, (other, *invocation.argv[1:]), through="pattern")
            if matching:
                return invocation.renamed(matching[0])
            self.object("exec-unknown", invocation, f"which program `{name}` matches cannot be read")
        return invocation

    # -- what a walk tells -------------------------------------------------------------------------------------------

    def trapped(self, text: str) -> None:
        self.text_here(text, None)

    def matched(self, pattern: str, argv: list[str]) -> None:
        if pattern.startswith(("/", "..")) and not self.elsewhere:
            self.use(pattern, Invocation(argv=tuple(argv), cwd=self.state.cwd, through=self.outer), only_looks=True)

    def assigned(self, name: str) -> None:
        values = self.state.value(name)
        if any(map(has_hidden_run, values)):
            raise Unreadable("an index that runs commands")
        if name == "BASH_ALIASES":
            texts = [text for text in self.state.arrays.get(name, ()) if text != UNSET]
            for text in sorted(texts, key=lambda text: not is_known(text)):
                self.text(text)
        environment = {name: values[-1]} if values else {}
        self._handlers.environment(self, Invocation(argv=(name + "=",), environment=environment, cwd=self.state.cwd))

    # -- objecting ---------------------------------------------------------------------------------------------------

    def object(self, rule: Rule, invocation: Invocation, what: str, *, fixed: bool = False) -> None:
        """
        Object to *invocation*: *what* says why.  *fixed*: it protects this program itself, and no line of the person's changes it.
        """
        if rule in self._forgiven and not fixed:
            return
        opened = [("> " if one.writes else "< ") + one.path for one in invocation.redirections]
        target = shown(" ".join((invocation.argv or opened)[:_MAX_SHOWN]))
        self.found.append(deny(rule, f"{what[:1].upper()}{what[1:]}. {REASONS[rule]}", target, fixed=fixed))
        self.spend(0.2)

    def use(self, path: str, invocation: Invocation, *, writes: bool = False, only_looks: bool = False) -> None:
        """
        Object when *path* may not be read, or with *writes* not be written; *only_looks*: its name is shown, not what
        is in it.
        """
        what = shown(path)
        if not path or path == "-":
            return
        if _TILDE.match(path) and not (path == "~" and invocation.program in _SHOWING):
            path = self.scope.home + path[1:] if path[1:2] in {"", "/"} else "/home/" + path[1:]
        if not writes and not only_looks and is_secret(path):
            self.object("secret", invocation, f"`{what}` holds secrets")
            if "secret" not in self._forgiven:
                return
        for cwd in invocation.cwd:
            place = self.place(path, cwd)
            if place is Place.REPOSITORY and writes:
                self.object("git", invocation, f"`{what}` belongs to git", fixed=True)
            elif place is Place.SETTINGS and writes:
                self.object("exec-unknown", invocation, f"`{what}` sets up the agent's own program", fixed=True)
            elif place is Place.OWN:
                self.object("outside", invocation, f"`{what}` is what runs the agents", fixed=True)
            elif place is Place.OUTSIDE or (writes and place in {Place.PROGRAMS, Place.READABLE}):
                self.object("outside", invocation, f"`{what}` is outside of the project")
            else:
                continue
            return
