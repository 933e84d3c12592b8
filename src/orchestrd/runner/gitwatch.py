"""
Did git's state change while an agent worked?

What an agent may do changes none of it, and what this program does for its tasks lies elsewhere (`workspace.gitstate`).  So a
change of what is the run's alone - its tree's HEAD, index and ``.git`` - has one possible author, whatever command it was.
What several share has several: of our own repository every run is blamed that had a call under way or work in the background,
since one of them did it and nothing tells which; of a project in which an agent works in place likewise.  Where nobody was seen to
work, somebody left something behind that did it: whoever works next is blamed, unless somebody was by then.  Nobody is blamed while a call
of any run is under way that a person let change the repository, nor later for what it did (`Commons`).  The person's repository
is the person's: they commit, fetch and switch while agents work, and only a call that names its folder is blamed for what changes
there meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrd.protocol import messages as m
from orchestrd.runner.sight import Sight
from orchestrd.workspace.gitstate import GitState, State, changes

_WRITTEN = frozenset({"content", "new_string", "old_string", "new_source", "description"})
"""Arguments that name nothing which a call touches.  (Claude Code 2.1.330)"""
_NEVER = re.compile(r"hooks/|orchestrd\.config$|objects/info/alternates$|info/attributes$|\.git$")
"""What no git command that a person allows is about: it would run programs, or lead elsewhere."""


class Commons:
    """
    What the watches over all runs of a daemon know together of the repository that these share.
    """

    def __init__(self) -> None:
        self.blamed: set[str] = set()
        """What any run was blamed for."""
        self._let: dict[str, str | None] = {}
        """What a person let a call change: name → what is there since, None for nothing."""
        self._working: dict[Path, Callable[[], bool]] = {}

    def join(self, run: Path, excused: Callable[[], bool]) -> None:
        """
        The run with this directory is watched; it is *excused* while a call of it that may change the repository was not looked at yet.
        """
        self._working[run] = excused

    def leave(self, run: Path) -> None:
        """
        It is watched no more.
        """
        self._working.pop(run, None)

    @property
    def excused(self) -> bool:
        """
        True while a run may change the repository.
        """
        return any(excused() for excused in self._working.values())

    def let(self, before: State, after: State) -> None:
        """
        A person let a call make *after* of *before*.
        """
        names = before.keys() | after.keys()
        self._let |= {name: after.get(name) for name in names if before.get(name) != after.get(name)}

    def unsettled(self, before: State, after: State) -> tuple[State, State]:
        """
        Both without what is *after* as a person let it become.
        """
        let = {name for name, what in self._let.items() if after.get(name) == what and not _NEVER.match(name)}
        return _without(before, let), _without(after, let)


class GitWatch:
    """
    What git keeps for one run's tree, look by look.
    """

    def __init__(self, sight: Sight, commons: Commons) -> None:
        self._sight = sight
        self._commons = commons
        self._kept: set[str] = set()
        """What changed of it while this run was not seen to work."""
        self._tree = GitState(sight.tree)
        self._project = GitState(sight.project) if sight.project is not None else None
        self.own: State | None = None
        """What is the run's alone, as it has to be; None before the first look."""
        self._shared: State = {}
        self._theirs: State = {}

    @property
    def there(self) -> bool:
        """
        False when the working tree is gone as a whole: that is found by who keeps it.
        """
        return self._tree.there

    def begin(self, own: State | None) -> None:
        """
        Remember what there is, and what was the run's *own* when it began, where that is known.  Blocks.
        """
        self._shared, self._theirs = self._tree.shared(), self._theirs_now()
        self.own = own if own is not None else self._tree.own()

    def look(self) -> tuple[State, State, State]:
        """
        What there is now: the run's own, what several share, and the person's.  Blocks.
        """
        return self._tree.own(), self._tree.shared(), self._theirs_now()

    def tell(
        self, now: tuple[State, State, State], calls: Sequence[m.ToolCall], *, background: bool, pardoned: bool
    ) -> list[str]:
        """
        What is *now* other than at the last look, a line each, that the agent is to be halted for, who had *calls* under way or work
        in the *background* meanwhile; *pardoned*: a person let one of them change the repository.
        """
        if self.own is None:
            return []
        own, shared, theirs = now
        doing, told = bool(calls) or background, list[str]()
        if self._sight.tree.ours or doing:
            told = _told(self.own, own, pardoned=pardoned)
        told += self._told_of_shared(shared, doing=doing, pardoned=pardoned)
        if doing and any(names(call.input, self._sight.folder, self._sight.own) for call in calls):
            told += [f"project's {change}" for change in _told(self._theirs, theirs, pardoned=pardoned)]
        if pardoned or not self._sight.tree.ours:
            self.own = own
        self._theirs = theirs
        return told

    def _told_of_shared(self, shared: State, *, doing: bool, pardoned: bool) -> list[str]:
        """
        What changed of what several share, as far as this run is to be blamed for it.
        """
        if not doing and self._sight.tree.ours:
            self._kept.update(changes(self._shared, shared))
            return []
        if pardoned:
            self._commons.let(self._shared, shared)
        before, after = self._commons.unsettled(self._shared, shared)
        found = _told(before, after, pardoned=pardoned or self._commons.excused) if doing else []
        told = [change for change in found if not (change in self._kept and change in self._commons.blamed)]
        self._commons.blamed.update(told)
        self._kept, self._shared = set(), shared
        return [f"shared {change}" for change in told]

    def _theirs_now(self) -> State:
        return {**self._project.own(), **self._project.shared()} if self._project is not None else {}


def _told(before: State, after: State, *, pardoned: bool) -> list[str]:
    if pardoned:
        before, after = ({name: state[name] for name in state if _NEVER.match(name)} for state in (before, after))
    return changes(before, after)


def _without(state: State, names: Collection[str]) -> State:
    return {name: what for name, what in state.items() if name not in names}


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
