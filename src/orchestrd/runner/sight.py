"""
What is watched for one run, and what is told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.protocol import messages as m
from orchestrd.redaction import Redact
from orchestrd.runner.wording import describe
from orchestrd.workspace.gitstate import Places

WORDS = {"git": "git's state changed", "delete": "files were deleted"}
"""What a run is halted for, by the rule."""
MOST_TOLD = 10


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


def setting_up(run: str, paths: Sequence[str]) -> ev.ViolationSeen:
    """
    The fact that the work of *run* has changed *paths*, by which agents are set up.
    """
    reason = "What sets up the agents' own program was changed, by no call that was allowed: it would say what the next one runs."
    seen = _seen([f"{path} was changed" for path in paths], (), lambda text: text)
    return replace(seen, run=run, rule="exec-unknown", reason=reason, fixed=True)


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
