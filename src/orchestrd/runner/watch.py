"""
The watch over one run: git's state (`gitwatch`) and the files of the tree (`filewatch`), looked at before a call that may run
programs or write is granted, after its result, and now and then while one is under way.

What a person let pass that the rules alone would not have (`Pardon`) may have its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import anyio.to_thread
import msgspec

from orchestrd.domain import events as ev
from orchestrd.protocol import messages as m
from orchestrd.redaction import BY_LOOKS, Redact
from orchestrd.runner.filewatch import FileWatch, Moved, nowhere
from orchestrd.runner.gitwatch import Commons, GitWatch
from orchestrd.runner.sight import Sight, deletion, violation
from orchestrd.storage.home import write_atomic
from orchestrd.storage.regular import read_regular
from orchestrd.workspace.gitstate import State

SECONDS = 1.0
"""Between two looks while a call is under way."""
BREATH = 0.2
"""Between any two looks: an agent may make many calls a second."""
RECORD = "gitstate.json"
"""In the run's directory: what was so when it began."""
RECORD_BYTES = 1 << 24
MOST_CALLS = 50
"""As many of the calls since files were last counted are named."""
HARMLESS = frozenset(
    {"Read", "Grep", "Glob", "LS", "NotebookRead", "WebFetch", "WebSearch", "ToolSearch", "AskUserQuestion"}
)
"""Tools that can change no repository."""


class Pardon(Protocol):
    """
    What a person allowed one run beyond the rules.
    """

    @property
    def act(self) -> str:
        """
        The mark under which programs of this task may be allowed to delete files.
        """
        ...

    @property
    def given(self) -> bool:
        """
        True when they are.
        """
        ...

    def covers(self, call: m.ToolCall) -> frozenset[str]:
        """
        The rules that would have stopped this *call*, which was granted, had not a person let it pass.
        """
        ...


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was so when the run began: git's state of its tree, and the tracked files that were *missing* already.
    """

    own: dict[str, str]
    missing: list[str]


class Watch:
    """
    The watch over one run.
    """

    def __init__(
        self,
        sight: Sight,
        rundir: Path,
        pardon: Pardon | None = None,
        moved: Moved = nowhere,
        *,
        commons: Commons | None = None,
    ) -> None:
        """
        Without a *pardon* nothing is allowed; *commons* is what all watches share.
        """
        self._sight = sight
        self._pardon = pardon
        self._commons = Commons() if commons is None else commons
        self._git = GitWatch(sight, self._commons)
        self.current: Callable[[], Sequence[m.ToolCall]] = tuple
        """The calls that are under way, or have returned since the last look."""
        self._looking: Sequence[m.ToolCall] = ()
        self._files = FileWatch(sight, moved)
        self._covered: dict[str, frozenset[str]] = {}
        """Calls since files were last counted → by which rules they were let pass."""
        self._since: list[m.ToolCall] = []
        self._worked = False
        """True when anything was under way since files were last counted."""
        self._record = rundir / RECORD
        self._found = False

    async def begin(self) -> None:
        """
        See what there is, and what was so when the run began: the first look compares with that.
        """
        await anyio.to_thread.run_sync(self._begin)
        self._commons.join(self._record.parent, lambda: self._may_change_git((*self._looking, *self.current())))

    async def look(
        self,
        calls: Sequence[m.ToolCall],
        *,
        background: bool = False,
        resting: bool = False,
        over: bool = False,
        redact: Redact = BY_LOOKS,
    ) -> ev.ViolationSeen | None:
        """
        Compare with the last look, since which the agent had *calls* under way, or work in the *background*; what it is to be
        halted for, once, as *redact* leaves it.  Where nothing began, the first look only remembers.  *resting*: nothing is under way now;
        *over*: nor ever again.
        """
        if self._found:
            return None
        doing = self._looking = [call for call in calls if call.name not in HARMLESS]
        told = await self._told(doing, background=background)
        self._looking = ()
        if over:
            self._commons.leave(self._record.parent)
        if told:
            self._found = True
            return violation(told, calls, redact)
        self._worked = self._worked or bool(doing) or background
        if not resting or not (self._worked or over) or not self._git.there:
            return None
        covered = any("delete" in rules for rules in self._covered.values())
        pardoned = covered or (self._pardon is not None and self._pardon.given)
        lost = await self._files.lost(pardoned=pardoned, over=over)
        if lost is None:
            return None
        if not lost and self._files.settle():
            await anyio.to_thread.run_sync(self._write)
        since, self._since, self._worked, self._covered = self._since, [], False, {}
        self._found = bool(lost)
        return deletion(lost, since, self._pardon.act if self._pardon is not None else "", redact) if lost else None

    async def _told(self, calls: list[m.ToolCall], *, background: bool) -> list[str]:
        """
        What of git's state the agent is to be halted for.
        """
        for call in calls:
            if call.id not in self._covered:
                self._covered[call.id] = self._pardon.covers(call) if self._pardon is not None else frozenset()
                self._since = [*self._since, call][-MOST_CALLS:]
        now = await anyio.to_thread.run_sync(self._look)
        if now is None:
            return []
        # Not in the thread: whether anybody may change it is asked once it was looked at.
        before, pardoned = self._git.own, self._may_change_git(calls)
        told = self._git.tell(now, calls, background=background, pardoned=pardoned)
        if pardoned and self._git.own != before:
            await anyio.to_thread.run_sync(self._write)
        return told

    def _look(self) -> tuple[State, State, State] | None:
        if not self._git.there:
            return None
        if self._git.own is None:
            self._begin()
        return self._git.look()

    def _may_change_git(self, calls: Sequence[m.ToolCall]) -> bool:
        return self._pardon is not None and any("git" in self._pardon.covers(call) for call in calls)

    def _begin(self) -> None:
        """
        See what there is, and what was so when the run began: as an earlier daemon wrote it down, else as it is now.
        """
        begun: Record | None = None
        if self._sight.tree.ours:
            try:
                begun = msgspec.json.decode(read_regular(self._record, RECORD_BYTES), type=Record)
            except (OSError, ValueError, msgspec.DecodeError):
                pass
        self._git.begin(begun.own if begun is not None else None)
        self._files.begin(begun.missing if begun is not None else None)
        # What is gone since then is found when files are counted.
        self._worked = begun is not None
        if begun is None:
            self._write()

    def _write(self) -> None:
        """
        Remember, for a tree that is the run's own, what has to be so from now on.
        """
        if not self._sight.tree.ours or self._git.own is None:
            return
        try:
            record = Record(own=dict(self._git.own), missing=sorted(self._files.missing))
            write_atomic(self._record, msgspec.json.encode(record))
        except OSError:
            pass  # a restart will not know what was before it
