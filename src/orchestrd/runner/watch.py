"""
Did git's state change while an agent worked, and are the project's files still there?  Looked at before a call that may run programs
or write is granted, after its result, and now and then while one is under way.

What an agent may do changes none of it, and what this program does for its tasks lies elsewhere (`workspace.gitstate`).  So a
change of what is the run's alone - its tree's HEAD, index and ``.git`` - has one possible author, whatever command it was.
What several share has several: of our own repository every run is blamed that had a call under way or work in the background,
since one of them did it and nothing tells which; of a project in which an agent works in place likewise.  The person's repository is the person's: they commit, fetch and switch while
agents work, and only a call that names its folder is blamed for what changes there meanwhile.

Files are counted only while nothing is under way: a program may take one away and put it back.  One that was moved is not gone, nor
does it count where a person let a call pass that the rules alone would not have (`Pardon`).  What was moved git tells, by what
the files hold: an inode may be another file's by now, and who moves a file may change it as well.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio.to_thread
import msgspec
from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.errors import StorageError
from orchestrd.logs import get_logger
from orchestrd.protocol import messages as m
from orchestrd.redaction import BY_LOOKS, Redact
from orchestrd.runner.wording import describe
from orchestrd.storage.home import write_atomic
from orchestrd.storage.regular import read_regular
from orchestrd.workspace.filelist import FileList
from orchestrd.workspace.gitstate import GitState, Places, State, changes

log = get_logger(__name__)
SECONDS = 1.0
"""Between two looks while a call is under way."""
BREATH = 0.2
"""Between any two looks: an agent may make many calls a second."""
RECORD = "gitstate.json"
"""In the run's directory: what was the run's alone when it began."""
RECORD_BYTES = 1 << 24
MOST_TOLD = 10
WORDS = {"git": "git's state changed", "delete": "files were deleted"}
"""What a run is halted for, by the rule."""
MOST_CALLS = 50
"""As many of the calls since files were last counted are named."""
HARMLESS = frozenset(
    {"Read", "Grep", "Glob", "LS", "NotebookRead", "WebFetch", "WebSearch", "ToolSearch", "AskUserQuestion"}
)
"""Tools that can change no repository."""
_WRITTEN = frozenset({"content", "new_string", "old_string", "new_source", "description"})
"""Arguments that name nothing which a call touches.  (Claude Code 2.1.330)"""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is watched for one run.  *tree* is its own, whose files lie in *root*; *project* is the person's repository where that is
    another.
    """

    tree: Places
    root: Path
    project: Places | None = None
    folder: str = ""
    """The person's project, as a call would name it."""
    own: str = ""
    """The folder of the agent alone, which may lie in it."""


class Pardon(Protocol):
    """
    What a person allowed of deleting files.
    """

    @property
    def act(self) -> str:
        """
        The mark under which programs of this task may be allowed to.
        """
        ...

    @property
    def given(self) -> bool:
        """
        True when they are.
        """
        ...

    def covers(self, call: m.ToolCall) -> bool:
        """
        True when it was a person who let this *call* pass, which was granted.
        """
        ...


Moved = Callable[[], Awaitable[Collection[str]]]
"""The files that were moved, or renamed, since the tree was made: where they were, as `git.shown` writes it."""


async def nowhere() -> Collection[str]:
    """
    Nothing was moved.
    """
    return ()


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

    def __init__(self, sight: Sight, rundir: Path, pardon: Pardon | None = None, moved: Moved = nowhere) -> None:
        """
        Without a *pardon* nothing is allowed; *moved* is only asked when files are missing.
        """
        self._sight = sight
        self._pardon = pardon
        self._moved = moved
        self._pardoned: dict[str, bool] = {}
        """Calls since files were last counted → whether it was a person who let them pass."""
        self._files = FileList(sight.root, sight.tree.entry / "index", oid=sight.tree.oid)
        self._missing: set[str] = set()
        """What was gone when files were last counted, and may be."""
        self._gone: set[str] = set()
        self._away: set[str] = set()
        """What was moved elsewhere."""
        self._since: list[m.ToolCall] = []
        self._worked = False
        """True when anything was under way since files were last counted."""
        self._record = rundir / RECORD
        self._tree = GitState(sight.tree)
        self._project = GitState(sight.project) if sight.project is not None else None
        self._own: State | None = None
        self._shared: State = {}
        self._theirs: State = {}
        self._found = False

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
        halted for, once, as *redact* leaves it.  The first look only remembers.  *resting*: nothing is under way now;
        *over*: nor ever again.
        """
        if self._found:
            return None
        doing = [call for call in calls if call.name not in HARMLESS]
        told = await anyio.to_thread.run_sync(self._look, doing, background)
        if told:
            self._found = True
            return violation(told, calls, redact)
        self._worked = self._worked or bool(doing) or background
        if not resting or not (self._worked or over):
            return None
        lost = await anyio.to_thread.run_sync(self._lost)
        # What was moved may have gone from there since.
        doubtful = {*lost, *(self._away if over else ())}
        if doubtful:
            try:
                there = await self._moved()
            except StorageError as error:
                log.warning("watch.uncounted", tree=str(self._sight.root), error=error.message)
                return None
            lost = sorted(path for path in doubtful if path not in there)
            self._away |= doubtful - set(lost)
        if not lost:
            await anyio.to_thread.run_sync(self._note)
        since, self._since, self._worked, self._pardoned = self._since, [], False, {}
        self._found = bool(lost)
        return deletion(lost, since, self._pardon.act if self._pardon is not None else "", redact) if lost else None

    def _look(self, calls: list[m.ToolCall], background: bool) -> list[str]:  # noqa: FBT001 - handed to a thread
        for call in calls:
            if call.id not in self._pardoned:
                self._pardoned[call.id] = self._pardon is not None and self._pardon.covers(call)
                self._since = [*self._since, call][-MOST_CALLS:]
        if not self._tree.there:
            return []  # lost work is found by who keeps it
        own, shared = self._tree.own(), self._tree.shared()
        theirs = {**self._project.own(), **self._project.shared()} if self._project is not None else {}
        if self._own is None:
            self._own, self._shared, self._theirs = self._begun(own), shared, theirs
        told: list[str] = []
        if self._sight.tree.ours or calls or background:
            told = changes(self._own, own)
        if not self._sight.tree.ours:
            self._own = own
        if calls or background:
            told += [f"shared {change}" for change in changes(self._shared, shared)]
            if any(names(call.input, self._sight.folder, self._sight.own) for call in calls):
                told += [f"project's {change}" for change in changes(self._theirs, theirs)]
        self._shared, self._theirs = shared, theirs
        return told

    def _lost(self) -> list[str]:
        """
        The files that are gone since they were last counted, unless a person allowed that.
        """
        if not self._tree.there:
            return []
        self._gone = self._files.gone()
        pardoned = (self._pardon is not None and self._pardon.given) or any(self._pardoned.values())
        return [] if pardoned else sorted(self._gone - self._missing)

    def _note(self) -> None:
        """
        Remember that the files that are gone may be.
        """
        if self._gone == self._missing:
            return
        self._missing = self._gone
        if self._sight.tree.ours and self._own is not None:
            self._write(self._own)

    def _begun(self, own: State) -> State:
        """
        What was the run's alone when it began: as an earlier daemon wrote it down, else as it is now.
        """
        self._missing = self._gone = self._files.gone()
        if not self._sight.tree.ours:
            return own
        try:
            begun = msgspec.json.decode(read_regular(self._record, RECORD_BYTES), type=Record)
        except (OSError, ValueError, msgspec.DecodeError):
            pass
        else:
            # What is gone since then is found when files are counted.
            self._missing, self._worked = set(begun.missing), True
            return begun.own
        self._write(own)
        return own

    def _write(self, own: State) -> None:
        try:
            write_atomic(self._record, msgspec.json.encode(Record(own=dict(own), missing=sorted(self._missing))))
        except OSError:
            pass  # a restart will not know what was before it


def names(arguments: Mapping[str, Any], folder: str, own: str = "") -> bool:
    """
    True when some text in *arguments*, other than what is written into a file, names *folder*, or what lies in it but for what is the
    agent's *own*.
    """
    if not folder:
        return False
    wanted = re.compile(rf"{re.escape(folder)}(?![\w.-])")
    return any(wanted.search(text.replace(own, "") if own else text) for text in _texts(arguments))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in _WRITTEN:
                yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def violation(told: Sequence[str], calls: Sequence[m.ToolCall], redact: Redact) -> ev.ViolationSeen:
    """
    The fact, its run still to be named, that what *told* says changed during *calls*, as *redact* leaves it.
    """
    reason = "What git keeps for the tree has changed, which nothing that is allowed does."
    return replace(_seen(told, calls, redact), rule="git", reason=reason, fixed=True)


def deletion(lost: Sequence[str], calls: Sequence[m.ToolCall], act: str, redact: Redact) -> ev.ViolationSeen:
    """
    The fact, its run still to be named, that the files *lost* are gone since *calls*, as *redact* leaves it; *act* is the mark by
    which that may be allowed.
    """
    reason = "Files of the project are gone, and nobody allowed that. `orchctl restore` brings them back."
    return replace(_seen([f"{path} is gone" for path in lost], calls, redact), rule="delete", reason=reason, act=act)


def _seen(told: Sequence[str], calls: Sequence[m.ToolCall], redact: Redact) -> ev.ViolationSeen:
    told = [redact(line) for line in told]
    last = calls[-1] if calls else None
    rest = len(told) - MOST_TOLD
    lines = [*told[:MOST_TOLD], *([f"and {rest} more"] if rest > 0 else [])]
    meanwhile = (
        "; ".join(f"{call.name} {describe(call.input, redact)}".strip() for call in calls[-3:]) or "no call under way"
    )
    return ev.ViolationSeen(
        run="",
        call=last.id if last is not None else "",
        tool=last.name if last is not None else "",
        rule="",
        target=told[0][:200],
        reason="",
        seen_by="watch",
        evidence=f"{'; '.join(lines)}. Meanwhile: {meanwhile}",
    )
