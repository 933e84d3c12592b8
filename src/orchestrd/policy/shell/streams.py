"""
What a shell reads and writes: files, descriptors, pipes, and what its commands print.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrd.policy.shell.expansion import Expansion
from orchestrd.policy.shell.invocation import Redirection
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.nodes import Process, Redirect, Script
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.shell.state import MAX_TEXT, State

_PRINTED = frozenset({"/dev/stdout", "/dev/fd/1", "/dev/stderr"})


class Streams(ABC):
    """
    The *state* of a shell with what it is given to read (`stdin`: None when that was not said).
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.stdin: str | None = None

    @abstractmethod
    def run(self, script: Script) -> str:
        """
        Follow *script*; what it prints.

        Raises `Unreadable`.
        """

    @abstractmethod
    def spend(self, steps: float) -> None:
        """
        Count what is followed, in *steps*.

        Raises `Unreadable` when it was too much.
        """

    def expansion(self) -> Expansion:
        """
        How words are expanded here and now.
        """
        return Expansion(self.state, self.capture, self.attach, self.spend)

    @contextmanager
    def subshell(self) -> Iterator[None]:
        """
        What happens inside is forgotten, but for the files.
        """
        before = self.state
        self.state = before.copy()
        self.state.traps = {}
        try:
            yield
            if not self.state.gone:
                self.end()
        finally:
            self.state = before

    def end(self) -> None:
        """
        The shell ends as it is now: what it was told to do then is done.
        """
        before = self.state
        for text in dict.fromkeys(text for texts in before.traps.values() for text in texts):
            self.state = before.copy()
            self.state.traps, self.state.gone = {}, ""
            try:
                self.trapped(text)
            finally:
                self.state = before

    def trapped(self, text: str) -> None:
        """
        The *text* of a trap is run.
        """
        del text

    def content(self, path: str) -> str:
        """
        What is in the file *path*, as far as it is known.
        """
        return self.state.files.get(absolute(path, self.state.cwd[-1]), HOLE)

    def write(self, path: str, text: str) -> None:
        """
        Remember that *text* is in *path* from now on.
        """
        full = absolute(path, self.state.cwd[-1])
        whole = self.state.files.pop("+" + full, "") + text
        self.state.files[full] = whole if len(whole) <= MAX_TEXT else HOLE
        self.state.links.pop(full, None)

    def opened(self, redirects: tuple[Redirect, ...]) -> tuple[tuple[Redirection, ...], str | None]:
        """
        The files that *redirects* open, and what is read from standard input then.
        """
        stdin = self.stdin
        if not redirects:
            return (), stdin
        found: list[Redirection] = []
        expansion = self.expansion()
        for one in redirects:
            targets = expansion.values(one.target)
            target = targets[0] if len(targets) == 1 else HOLE
            if one.operator in {"<<", "<<<"}:
                text = target if one.operator == "<<" else target + "\n"
                stdin = self._given(one.descriptor, text, stdin)
            elif one.operator == "<":
                stdin = self._given(one.descriptor, self.content(target), stdin)
                found += [Redirection(path, False, one.descriptor) for path in targets]
            elif one.operator == "<&":
                stdin = stdin if target == "-" else self.state.files.get(f"/dev/fd/{target.rstrip('-')}", HOLE)
            elif one.operator == ">&" and (target.rstrip("-").isdecimal() or target == "-" or not is_known(target)):
                continue
            else:
                found += [Redirection(path, True, one.descriptor) for path in targets]
                if one.operator in {">>", "&>>"}:
                    for path in targets:
                        self._keep(path)
        return tuple(found), stdin

    def _given(self, descriptor: str, text: str, stdin: str | None) -> str | None:
        """
        What standard input is when *text* is given to *descriptor*.
        """
        if descriptor in {"", "0"}:
            return text
        self.state.files[f"/dev/fd/{descriptor}"] = text
        return stdin

    def routed(self, redirections: tuple[Redirection, ...], printed: str) -> str:
        """
        What is left of *printed* when it was redirected.
        """
        targets = [one.path for one in redirections if one.writes and one.descriptor in {"", "1"}]
        kept = [path for path in targets if path in _PRINTED]
        for path in targets:
            if path not in kept:
                self.write(path, printed)
        return printed if kept or not targets else ""

    def capture(self, script: Script) -> str:
        """
        What *script* prints in a shell of its own.
        """
        with self.subshell():
            return self.run(script)

    def attach(self, process: Process) -> str:
        """
        The path at which *process* reads or writes.
        """
        path = f"/dev/fd/{len(self.state.files) + 60}"
        before = self.stdin
        self.stdin = self.stdin if process.reads else HOLE
        with self.subshell():
            self.state.files[path] = self.run(process.script)
        self.stdin = before
        return path

    def _keep(self, path: str) -> None:
        """
        What is appended to *path* comes after what is in it.
        """
        self.state.files.setdefault("+" + absolute(path, self.state.cwd[-1]), self.content(path))
