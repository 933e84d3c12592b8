"""
Follows a command line to every program it would run, and has each judged.

The order for each program: what it is (a function, a link, a builtin), what it runs (wrappers, shells, interpreters,
runners), what it does itself (git, databases, files …), what its arguments name (paths, secrets), what it prints.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrd.policy.scope import Files, Place, Scope
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.parser import parse
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.shell.state import State, Values
from orchestrd.policy.shell.walk import HIDDEN_RUN, Walk
from orchestrd.policy.shell.words import as_word
from orchestrd.policy.verdict import Rule, Verdict, deny

MAX_SCRIPT = 200_000
"""A longer script (characters) is not followed: it is refused where it is new, and left alone where it is the project's."""
_MAX_DEPTH = 12

Handler = Callable[["Inquiry", Invocation], str | None]
"""Judges or follows one program; what it prints, or None to go on with the next handler."""

REASONS: dict[Rule, str] = {
    "git": "Version control may only be read here: no staging, committing, pushing or any other change. Leave your changes "
    "uncommitted; the person reviews and commits them.",
    "db": "Databases may not be changed and migrations may not be run. Create the migration file, say so in the summary, and "
    "leave running it to the person.",
    "delete": "Project files may not be deleted or moved away. Name in the summary the files that should go; scratch files "
    "belong into $TMPDIR, where you may delete.",
    "outside": "Only the working tree and the scratch folder ($TMPDIR) may be used, and the machine may not be changed. "
    "Work with what is in the project.",
    "secret": "Secrets may not be read. Work without the values; examples such as .env.example and the names of variables "
    "are fine.",
    "exec-unknown": "Only commands that can be read before they run are run. Write the command out, with its program and "
    "arguments.",
    "none": "",
}


class Inquiry(Walk):
    """
    One command line under judgement: `found` has what was objected to.
    """

    def __init__(self, scope: Scope, cwd: str, files: Files, handlers: Handlers) -> None:
        known: dict[str, Values] = {"HOME": (scope.home,), "IFS": (" \t\n",), "SHELL": ("/bin/bash",), "OPTIND": ("1",)}
        if scope.scratch:
            known["TMPDIR"] = (scope.scratch[0],)
        super().__init__(State((cwd,), known))
        self.scope = scope
        self.disk = files
        self.found: list[Verdict] = []
        self._handlers = handlers
        self._depth = 0
        self.unpacked: list[str] = []
        """Folders that something unknown was unpacked into."""
        self.trusted = 0
        """Above 0 while what is followed is the project's own (a make target, a package's script)."""

    # -- following ---------------------------------------------------------------------------------------------------

    def text(self, text: str, *, stdin: str | None = None, arguments: tuple[str, ...] | None = None) -> str:
        """
        Follow a *text* for a shell, in a state of its own; what it prints.

        Raises `Unreadable`.
        """
        if len(text) > MAX_SCRIPT:
            raise Unreadable("a script that is too long to follow")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable("scripts call each other too deeply")
        before, state, positional = self.stdin, self.state, self.state.positional
        self.state = state.copy()
        self.stdin = stdin
        if arguments is not None:
            self.state.positional = arguments
        try:
            return self.run(parse(text, self._depth))
        finally:
            self.state, self.stdin = state, before
            state.positional = positional
            self._depth -= 1

    def text_here(self, text: str, stdin: str | None) -> str:
        """
        Follow a *text* in this very shell: what it assigns stays.

        Raises `Unreadable`.
        """
        self._depth += 1
        before = self.stdin
        self.stdin = stdin
        try:
            if self._depth > _MAX_DEPTH or len(text) > MAX_SCRIPT:
                raise Unreadable("a script that is too long or too deep to follow")
            return self.run(parse(text, self._depth))
        finally:
            self.stdin = before
            self._depth -= 1

    def argv(self, invocation: Invocation, argv: tuple[str, ...], *, through: str = "", **changes: object) -> str:
        """
        Follow *argv* as what *invocation* runs; what it prints.
        """
        if not argv:
            return ""
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise Unreadable("programs call each other too deeply")
            inner = Invocation(
                argv=argv,
                environment=changes.get("environment", invocation.environment),  # type: ignore[arg-type]
                stdin=changes.get("stdin", invocation.stdin),  # type: ignore[arg-type]
                cwd=changes.get("cwd", invocation.cwd),  # type: ignore[arg-type]
                through=(*invocation.through, through or invocation.program),
                elsewhere=bool(changes.get("elsewhere", invocation.elsewhere)),
            )
            return self.invoke(inner)
        finally:
            self._depth -= 1

    def invoke(self, invocation: Invocation) -> str:
        for one in invocation.redirections:
            if not invocation.elsewhere:
                self.use(one.path, invocation, writes=one.writes, what=shown(one.path))
        if not invocation.argv:
            return invocation.stdin or ""
        self._step()
        name = invocation.argv[0]
        if not is_known(name):
            return self._unknown_program(invocation)
        if name in self.state.functions and not invocation.through:
            return self.call(name, invocation.argv[1:], self.state.functions[name], invocation.stdin)
        if name in self.state.aliases and not invocation.through:
            rest = self.state.aliases[name]
            return self.text(" ".join([rest, *map(as_word, invocation.argv[1:])]), stdin=invocation.stdin)
        invocation = self._real(invocation)
        if "/" in name and (self.is_new(name) or self.disk_has(name)):
            own = self._handlers.script(self, invocation)
            if own is not None:
                return own
        for handler in self._handlers.of(invocation):
            printed = handler(self, invocation)
            if printed is not None:
                return printed
        return HOLE

    def _unknown_program(self, invocation: Invocation) -> str:
        name = invocation.argv[0]
        self.object("exec-unknown", invocation, f"which program `{shown(name)}` is cannot be read")
        return HOLE

    @contextmanager
    def following(self, *, ours: bool) -> Iterator[None]:
        """
        What is followed inside is the project's own, when it is *ours*: then what cannot be read of it is left alone.
        """
        self.trusted += ours
        try:
            yield
        except Unreadable:
            if not ours:
                raise
        finally:
            self.trusted -= ours

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

    def _real(self, invocation: Invocation) -> Invocation:
        """
        *invocation* with its program by its real name, where it is a link, a copy or a pattern.
        """
        name = invocation.argv[0]
        if "/" in name or name in self.state.links:
            target = self.state.links.get(absolute(name, invocation.cwd[-1]))
            if target is not None:
                return invocation.renamed(target)
        elif (
            any(path.endswith("/" + name) for path in self.state.links)
            and "PATH" in invocation.environment.keys() | self.state.variables.keys()
        ):
            return invocation.renamed(
                next(target for path, target in self.state.links.items() if path.endswith("/" + name))
            )
        if any(sign in name for sign in "*?[(") and name not in {"[", "[["}:
            base = name.rsplit("/", 1)[-1]
            matching = [known for known in self._handlers.guarded if fnmatch.fnmatchcase(known, base)]
            if matching:
                for other in matching[1:]:
                    self.argv(invocation, (other, *invocation.argv[1:]), through="pattern")
                return invocation.renamed(matching[0])
            self.object("exec-unknown", invocation, f"which program `{name}` matches cannot be read")
        return invocation

    # -- objecting ---------------------------------------------------------------------------------------------------

    def object(self, rule: Rule, invocation: Invocation, what: str) -> None:
        """
        Object to *invocation*: *what* says why.
        """
        if self.trusted and rule in {"exec-unknown", "secret"}:
            return
        target = shown(" ".join(invocation.argv))
        self.found.append(deny(rule, f"{what[:1].upper()}{what[1:]}. {REASONS[rule]}", target))

    def use(
        self, path: str, invocation: Invocation, *, writes: bool = False, what: str = "", only_looks: bool = False
    ) -> None:
        """
        Object when *path* may not be read, or with *writes* not be written; *only_looks*: its name is shown, not what is in it.
        """
        what = what or shown(path)
        if not path or path == "-":
            return
        if re.match(r"~(?:[\w.-]*(?:/|$))", path):
            path = self.scope.home + path[1:] if path[1:2] in {"", "/"} else "/home/" + path[1:]
        if not writes and not only_looks and is_secret(path):
            self.object("secret", invocation, f"`{what}` holds secrets")
            return
        for cwd in invocation.cwd:
            place = self.place(path, cwd)
            if place is Place.REPOSITORY and writes:
                self.object("git", invocation, f"`{what}` belongs to git")
            elif place is Place.SETTINGS and writes:
                self.object("exec-unknown", invocation, f"`{what}` sets up the agent's own program")
            elif place is Place.OUTSIDE or (writes and place is Place.PROGRAMS):
                self.object("outside", invocation, f"`{what}` is outside of the project")
            else:
                continue
            return

    def place(self, path: str, cwd: str) -> Place:
        """
        What kind of place *path* is, symbolic links followed as far as anything is known of them.
        """
        place = self.scope.place(path, cwd)
        if place is Place.TREE and is_known(path) and is_known(cwd):
            full = absolute(path, cwd)
            target = self.state.links.get(full) or self.disk.resolve(full)
            if target != full:
                return self.scope.place(target, cwd)
        return place

    def content(self, path: str) -> str:
        """
        What is in the file *path*: written just now, or on disk.
        """
        known = super().content(path)
        if known != HOLE or self.is_new(path):
            return known
        found = self.on_disk(path)
        return known if found is None else found

    def knows(self, program: str) -> bool:
        """
        True when *program* has handlers of its own.
        """
        return self._handlers.knows(program)

    def written(self, suffix: str) -> list[str]:
        """
        The paths ending in *suffix* that the command line itself wrote.
        """
        return [path for path in self.state.files if path.endswith(suffix)]

    @property
    def code(self) -> Callable[[Inquiry, Invocation, str, str], str]:
        """
        Judges a program's text: ``(inquiry, call, language, text)``.
        """
        return self._handlers.code

    def is_new(self, path: str) -> bool:
        """
        True when *path* was written by the command line itself.
        """
        full = absolute(path, self.state.cwd[-1])
        return full in self.state.files or any(full.startswith(folder) for folder in self.unpacked)

    def disk_has(self, path: str) -> bool:
        """
        True when *path* is a file of the tree or of scratch that can be read.
        """
        return self.on_disk(path) is not None

    def matched(self, pattern: str, argv: list[str]) -> None:
        call = Invocation(argv=tuple(argv), cwd=self.state.cwd, through=self.outer, elsewhere=self.elsewhere)
        if pattern.startswith(("/", "..")) and not self.elsewhere:
            self.use(pattern, call, only_looks=True)

    def assigned(self, name: str) -> None:
        if any("[" in value and HIDDEN_RUN.search(value) for value in self.state.value(name)):
            raise Unreadable("an index that runs commands")
        if name == "BASH_ALIASES":
            for text in self.state.arrays.get(name, ()):
                self.text(text)
        values = self.state.value(name)
        environment = {name: values[-1]} if values else {}
        self._handlers.environment(self, Invocation(argv=(name + "=",), environment=environment, cwd=self.state.cwd))

    def on_disk(self, path: str) -> str | None:
        """
        What lies in the file *path* of the tree or of scratch, or None.
        """
        cwd = self.state.cwd[-1]
        if not is_known(path) or not is_known(cwd) or self.scope.place(path, cwd) not in {Place.TREE, Place.SCRATCH}:
            return None
        return self.disk.read(absolute(path, cwd))


class Handlers:
    """
    Which handlers a program has, by its name; the last ones are everybody's.
    """

    def __init__(
        self,
        named: dict[str, list[Handler]],
        last: list[Handler],
        name: Callable[[Invocation], str],
        guarded: frozenset[str],
        script: Handler,
        environment: Callable[[Inquiry, Invocation], None],
        code: Callable[[Inquiry, Invocation, str, str], str],
    ) -> None:
        self._named = {program: [*handlers, *last] for program, handlers in named.items()}
        self._last = last
        self._name = name
        self.guarded = tuple(sorted(guarded))
        self.script = script
        self.environment = environment
        self.code = code

    def knows(self, program: str) -> bool:
        """
        True when *program* has handlers of its own.
        """
        return program in self._named

    def of(self, invocation: Invocation) -> list[Handler]:
        """
        The handlers of *invocation*, in their order.
        """
        return self._named.get(self._name(invocation), self._last)
