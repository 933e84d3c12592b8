"""
A run's output, read afresh: what the daemon should have recorded of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import cast

import msgspec
from msgspec.structs import replace

from orchestrd.audit.picture import Picture
from orchestrd.domain import events as ev
from orchestrd.domain.rows import RunRow
from orchestrd.domain.writable import writable
from orchestrd.policy.verdict import ALLOW, Rule, Verdict, recorded
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.fields import wall_time
from orchestrd.redaction import Redactor
from orchestrd.runner.heard import Ask
from orchestrd.runner.interpreter import Interpreter
from orchestrd.storage.output import extent, read_piece
from orchestrd.storage.regular import open_regular

_STREAM = (
    ev.RunInitialised,
    ev.SpendSeen,
    ev.SpendTold,
    ev.TurnEnded,
    ev.ToolCalled,
    ev.ToolReturned,
    ev.RetrySeen,
    ev.RateLimitSeen,
    ev.StreamDamaged,
    ev.ViolationSeen,
)
SALVAGED = "Facts were lost with a damaged journal; what they did is in the rows, and the output is whole."
"""What a person is told where output and journal differ by that."""
_BROKEN = "the daemon could not follow the agent"
"""How the reason of a run begins whose output was not read to its end."""
_SAID = frozenset({"hook", "rules"})
"""Who sees a violation in the output itself."""


class Hearing(msgspec.Struct, kw_only=True):
    """
    A run's output up to a cursor and beyond it.

    *facts* and *asks* come from whole lines before the cursor, *later* and *later_asks* from those behind it, *tail* from a
    last line without its end; *inside* says that the cursor lies within a line, *size* is how many bytes of the file are read.
    *reached* maps each offset that was asked for to how many facts there are before it.
    """

    facts: list[ev.AnyEvent] = []
    asks: list[Ask] = []
    later: list[ev.AnyEvent] = []
    later_asks: list[Ask] = []
    tail: list[ev.AnyEvent] = []
    inside: bool = False
    size: int = 0
    reached: dict[int, int] = {}


def followed_to_end(run: RunRow) -> bool:
    """
    True of a run that is over, and whose output was read as far as it goes.
    """
    return not (run.open or run.reason.startswith(_BROKEN))


def of_stream(event: ev.Event) -> bool:
    """
    True for a fact that is read from an agent's output.
    """
    if isinstance(event, ev.ViolationSeen):
        # What a monitor saw is held against answers and files, which are no part of the output.
        return event.seen_by in _SAID
    return isinstance(event, _STREAM) or (isinstance(event, ev.SpendSettled) and event.source == "result")


def as_read(event: ev.AnyEvent) -> ev.AnyEvent:
    """
    A recorded *event* as its line is read today: earlier versions took any number for the moment at which a window resets, and did
    not tell what was decided about a violation.
    """
    if isinstance(event, ev.ViolationSeen) and not event.decision:
        return replace(event, decision="deny")
    return replace(event, resets_at=wall_time(event.resets_at)) if isinstance(event, ev.RateLimitSeen) else event


def interpreter(picture: Picture, run: RunRow) -> Interpreter:
    """
    One that judges as the run's own daemon did: what was objected to is recorded, and a later version of the program, or other
    files in the tree, might judge otherwise.  With this home's prices.
    """
    events = [record.event for record in picture.facts.get(run.key, ())]
    seen = {e.call: e for e in events if isinstance(e, ev.ViolationSeen) and e.seen_by in _SAID}
    permits = [event.permit for event in events if isinstance(event, ev.QuestionAsked) and event.permit is not None]
    asked = {permit.call: permit for permit in permits}

    def judged(_tool: str, _arguments: object, _cwd: str | None, call: str | None) -> Verdict:
        permit = asked.get(call or "")
        if permit is not None:
            return recorded(permit)
        violation = seen.get(call or "")
        if violation is None:
            return ALLOW
        return Verdict(
            decision="deny",
            rule=cast("Rule", violation.rule),
            reason=violation.reason,
            target=violation.target,
            act=violation.act,
            fixed=violation.fixed,
        )

    spec = picture.spec(run.key)
    redactor = Redactor(spec.secrets if spec is not None else ())
    return Interpreter(run.key, picture.prices, judged, redactor)


def listen(picture: Picture, run: RunRow, cursor: int, *, marks: Iterable[int] = ()) -> Hearing:
    """
    Read the run's output, and count the facts before each of *marks*, where its end was cut off before.  A last line without
    its end counts once the run has ended.

    Raises `OSError` when there is no such file.
    """
    fd = open_regular(picture.rundir(run.key).stdout)
    try:
        return _listen(fd, interpreter(picture, run), cursor, marks, ended=not run.open)
    finally:
        os.close(fd)


def _listen(fd: int, reader: Interpreter, cursor: int, marks: Iterable[int], *, ended: bool) -> Hearing:
    hearing = Hearing(size=extent(fd))
    stream = ClaudeStream()
    offset = 0
    cuts = set(marks)
    for stop in sorted({*cuts, cursor, hearing.size}):
        while (piece := read_piece(fd, offset, stop)).length:
            offset += piece.length
            heard = reader.take(piece.told_by(stream))
            facts, asks = (hearing.facts, hearing.asks) if offset <= cursor else (hearing.later, hearing.later_asks)
            facts += map(writable, heard.facts)
            asks += heard.asks
        hearing.reached[stop] = len(hearing.facts) + len(hearing.later)
        if stop in cuts:
            # What was left of a line that was cut off there ends nowhere: the daemon went on at the beginning of another.
            stream.restart(stop)
        if stop == cursor:
            # A last line without its end is read when the run is over, and then the cursor is the end of the file.
            hearing.inside = bool(stream.pending) and offset < hearing.size
    if ended or cursor == hearing.size:
        heard = reader.take(stream.finish())
        hearing.tail = [writable(fact) for fact in heard.facts]
        hearing.asks += heard.asks
    return hearing
