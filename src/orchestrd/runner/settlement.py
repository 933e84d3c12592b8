"""
The account of a run that is over: what it spent, what it said last, and how its process died.
"""

from __future__ import annotations

import os
import signal
from functools import partial

import anyio.to_thread

from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.outcomes import Ending
from orchestrd.domain.rows import QuestionRow, QuestionState, RunRow
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.transcripts import Response, can_resume, config_dir, read_spend, settle, settle_cut
from orchestrd.runner.voice import message_uuid
from orchestrd.storage.regular import open_regular
from orchestrd.storage.rundir import RunDir, RunSpec
from orchestrd.storage.shortage import is_shortage

TAIL_BYTES = 4096


async def settle_up(
    row: RunRow,
    spec: RunSpec,
    rundir: RunDir,
    interpreter: Interpreter,
    prices: PriceTable,
    *,
    questions: list[QuestionRow],
    over: bool,
    hollow: bool,
    swept: list[str],
    left_behind: int,
    work: float,
) -> tuple[Ending, list[ev.AnyEvent]]:
    """
    How the run ended, and the account of what no result covered, to be recorded together with that end.

    The stream must have been read to its end.  *questions* are the run's; *over*: the agent had nothing left to do; *hollow*: it had taken our message
    and done nothing; *swept*: what was ended beside it; *left_behind*: how many processes it had in the background when it was let go; *work*: the seconds it worked.
    """
    record = rundir.exit_record()
    transcript = await _read(row, spec)
    resumable = await anyio.to_thread.run_sync(can_resume, config_dir(spec.env), row.session)
    meter = interpreter.meter
    rest = settle_cut(row, transcript, prices) if row.cut else settle(row.key, meter, transcript, prices)
    unaccounted = bool(meter.open or meter.live) or row.cut or record is None or record.exit_code != 0
    facts: list[ev.AnyEvent] = [rest] if rest is not None and unaccounted else []
    facts += [
        ev.QuestionWithdrawn(question=question.id, reason="the run ended before it went on with the answer")
        for question in questions
        if not over and question.state is QuestionState.DELIVERED and _unused(question, interpreter)
    ]
    result = interpreter.result
    ending = Ending(
        exit_code=record.exit_code if record else None,
        signal=record.signal if record else None,
        lost=record is None,
        out_of_memory=bool(record and record.oom_kills and record.signal == signal.SIGKILL and not record.stopped),
        finished=over,
        resumable=resumable,
        has_result=result is not None,
        is_error=result.is_error if result else False,
        terminal_reason=result.terminal_reason if result else None,
        api_status=result.api_error_status if result else None,
        api_error=result.api_error if result else None,
        failure=interpreter.failure,
        stop_reason=result.stop_reason if result else None,
        window=interpreter.window is not None,
        resets_at=interpreter.window.resets_at if interpreter.window is not None else None,
        text=(result.text or "\n".join(result.errors)) if result else "",
        stderr=interpreter.refused or tail(rundir),
        spoke=interpreter.spoke,
        hollow=hollow,
        interrupted=tuple(interpreter.calls.values()),
        # Some of what it left it may have ended itself on its way out.
        leftovers=max(left_behind, len(swept) + (len(record.leftovers) if record else 0)),
        work=round(work, 3),
    )
    return ending, facts


async def remainder(row: RunRow, spec: RunSpec, prices: PriceTable) -> list[ev.AnyEvent]:
    """
    What the journal has not accounted for of a run that is over and could not be followed to its end, as its transcripts have
    it.
    """
    rest = settle_cut(row, await _read(row, spec), prices)
    return [] if rest is None else [rest]


async def _read(row: RunRow, spec: RunSpec) -> dict[str, Response]:
    """
    The responses of this run that its transcripts hold.
    """
    # A conversation of its own is this run's whole: only one that was taken up holds what earlier runs have paid for.
    # That is told by where it stands in the transcript: times go wrong when the clock is set.
    since = row.started_at if row.resumes and spec.transcripts is None else 0.0
    read = partial(read_spend, config_dir(spec.env), row.session, since=since, beyond=spec.transcripts)
    return await anyio.to_thread.run_sync(read)


def _unused(question: QuestionRow, interpreter: Interpreter) -> bool:
    """
    True when nothing shows that the agent went on with the answer: it is told again to the run that follows.
    """
    if question.permit is not None:
        # It was for one call, and what came of that is seen by its result or among what was cut off.
        return False
    if question.request is not None:
        return interpreter.leave.asking(question.request)
    return message_uuid(question.id) not in interpreter.completed


def tail(rundir: RunDir) -> str:
    """
    The end of the agent's stderr.
    """
    try:
        with os.fdopen(open_regular(rundir.stderr), "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError as error:
        if is_shortage(error):
            raise
        return ""
