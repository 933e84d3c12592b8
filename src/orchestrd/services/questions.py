"""
Questions: asked by tool or by file, answered once, on whichever channel is first.

Every open question lies as a file in ``agent_questions/DAY``; an answer file that a person writes there is as good as
``orchctl answer``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from orchestrd.domain import account, dayquestion, lookup, taskquestion
from orchestrd.domain import events as ev
from orchestrd.domain.answers import closed, compose
from orchestrd.domain.budget import Limits
from orchestrd.domain.model import TaskState
from orchestrd.domain.questionfiles import (
    read_answer,
    read_question,
    says_how_to_answer,
    write_answer,
    write_question,
)
from orchestrd.domain.rows import QuestionRow, QuestionState, RunPhase
from orchestrd.domain.state import State
from orchestrd.errors import AlreadyAnswered, RequestError
from orchestrd.logs import get_logger
from orchestrd.protocol.jsonrpc import MAX_LINE
from orchestrd.services.bus import Bus
from orchestrd.services.change import Change
from orchestrd.services.pulse import Pulse
from orchestrd.services.store import Store
from orchestrd.services.watched import LATE, Watched, bring_out, put_aside_late
from orchestrd.storage.home import Home, put_aside, write_atomic
from orchestrd.storage.regular import read_text
from orchestrd.storage.shortage import is_shortage

log = get_logger(__name__)
LOOK_SECONDS = 0.25
"""Between two looks at the question folders of live days: a file is noticed within a second."""
QUESTION_LIMIT = 64 * 1024
"""Characters of a question's file that are read."""
ANSWER_LIMIT = MAX_LINE - 4096
"""Bytes of an answer, as JSON: what the control socket takes in one line, which names the task beside it."""
WHY_LIMIT = 300
"""Characters of the reason why an answer is refused, which may repeat it."""
_ANSWER = re.compile(r"-answer$")


class Questions:
    """
    Watches the folders, writes the files, records the answers.
    """

    def __init__(self, home: Home, store: Store, bus: Bus, limits: Limits) -> None:
        self._home = home
        self._store = store
        self._bus = bus
        self._limits = limits
        self._unwritten: set[Path] = set()
        self._watched = Watched()
        self._taking = anyio.Lock()
        """Held from when a file counts as read until what it says is recorded."""

    async def run(self, pulse: Pulse, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Watch until cancelled.
        """
        task_status.started()
        while True:
            await pulse.turn("questions")
            await self._write_files()
            for day in self._live_days():
                await self._look(day)
            changes = self._bus.changes()
            with anyio.move_on_after(LOOK_SECONDS):
                await changes.wait()
                # Many facts at once need one look, not many.
                await anyio.sleep(LOOK_SECONDS / 4)

    def _live_days(self) -> list[str]:
        """
        The days of which something is unfinished, and that under which the daemon's own question is filed, which outlives it.
        """
        state = self._store.state
        asked = state.home().asked
        return sorted({*state.active_days(), *([] if asked is None else [asked.partition("/")[0]])})

    # -- files we write ----------------------------------------------------------------------------------------------

    async def _write_files(self) -> None:
        """
        See that every open question and every given answer has its file.
        """
        for row in (q for day in self._live_days() for q in self._store.state.questions(day=day)):
            if row.state is QuestionState.WITHDRAWN or not self._recent(row):
                continue
            path = self._home.question_file(row.task, row.number)
            answer = self._home.answer_file(row.task, row.number)
            if not path.exists() and row.state is QuestionState.OPEN:
                text = write_question(
                    task=row.task,
                    number=row.number,
                    text=row.text,
                    options=row.options,
                    answer_file=answer.name,
                    title=row.header if row.of_daemon else "",
                )
                self._put(path, text)
            if row.answer is not None and not answer.exists():
                text = write_answer(task=row.task, answer=row.answer, by=row.answered_by or "")
                self._put(answer, text)

    def _put(self, path: Path, text: str) -> None:
        """
        Write a file of ours; one that cannot be written now is written later.
        """
        try:
            write_atomic(path, text.encode())
        except OSError as error:
            if path not in self._unwritten:
                log.warning("question.unwritten", path=str(path), error=error.strerror)
                self._unwritten.add(path)
        else:
            self._unwritten.discard(path)
            self._watched.remember(path)

    def _recent(self, row: QuestionRow) -> bool:
        run = self._store.state.run(row.run)
        return row.state is QuestionState.OPEN or row.of_daemon or (run is not None and run.open)

    # -- files others write ------------------------------------------------------------------------------------------

    async def _look(self, day: str) -> None:
        folder = self._home.questions / day
        for run in self._store.state.runs(day=day):
            if run.open:
                bring_out(self._home, run.key)
        try:
            paths = sorted(folder.glob("*.md"))
        except OSError:
            return
        self._watched.keep(folder, paths)
        for path in paths:
            async with self._taking:
                if not await self._watched.due(path):
                    continue
                if _ANSWER.search(path.stem):
                    await self._take_answer(day, path)
                    continue
                try:
                    await self._take_question(day, path)
                except OSError as error:
                    if not is_shortage(error):
                        raise

    async def last_look(self, task: str) -> None:
        """
        Take the question that *task*'s agent has just written, without waiting to see whether it writes on: its turn is
        over.

        Raises `OSError` when the machine is too short of something to read it.
        """
        day = task.partition("/")[0]
        for run in self._store.state.runs(task=task):
            if run.open:
                bring_out(self._home, run.key)
        for path in sorted((self._home.questions / day).glob("*.md")):
            if _ANSWER.search(path.stem) or self._task_of(day, path) != task:
                continue
            # One that is being read just now is recorded first.
            async with self._taking:
                if not self._watched.is_read(path):
                    self._watched.remember(path)
                    await self._take_question(day, path)

    async def last_answers(self, run: str) -> None:
        """
        Take the answers that a person has written to what *run* still asks, before it is taken for unanswered.
        """
        for row in self._store.state.questions(run=run):
            path = self._home.answer_file(row.task, row.number)
            if row.state is QuestionState.OPEN and path.exists() and await self._watched.settled(path):
                await self._take_answer(row.task.partition("/")[0], path)

    async def _take_answer(self, day: str, path: Path) -> None:
        rows = [q for q in self._store.state.questions(day=day) if self._home.answer_file(q.task, q.number) == path]
        answer = read_answer(await self._watched.text(path, ANSWER_LIMIT) or "") if rows else ""
        for row in rows if answer else ():
            if row.state is not QuestionState.OPEN:
                self._set_aside(row, path, answer)
                continue
            try:
                await self.answer(task=row.task, question=row.id, text=answer, options=[], by="file")
            except AlreadyAnswered:
                now = self._store.state.question(row.id)
                self._set_aside(now or row, path, answer)
            except RequestError as error:
                self._watched.refuse(path, " ".join((error.message[:WHY_LIMIT], error.hint)).strip())
                # Not the message, which may have words of the answer in it.
                log.info("question.answer_refused", question=row.id, error=type(error).__name__)

    def refusal(self, row: QuestionRow) -> str:
        """
        Why the answer file of the open question *row* is not taken, such as ``the answer file a-answer.md cannot be taken: it
        is a link``; empty when nothing is wrong.
        """
        path = self._home.answer_file(row.task, row.number)
        why = self._watched.refusal(path) if row.state is QuestionState.OPEN else ""
        return f"the answer file {path.name} {why}" if why else ""

    async def notes(self, rows: Sequence[QuestionRow]) -> dict[str, str]:
        """
        Question id to what a person should know of its answer files: that one is not taken, or came too late and where it is.
        Questions of which nothing is to be told are left out.
        """
        days = {row.task.partition("/")[0] for row in rows if row.state is not QuestionState.OPEN}
        late: dict[Path, list[str]] = {}
        for day in days:
            late |= await anyio.to_thread.run_sync(put_aside_late, self._home.questions / day)
        found: dict[str, str] = {}
        for row in rows:
            kept = late.get(self._home.answer_file(row.task, row.number), [])
            if note := self.refusal(row):
                found[row.id] = note
            elif kept:
                found[row.id] = f"an answer that came too late was kept aside as {', '.join(kept)}"
        return found

    def _set_aside(self, row: QuestionRow, path: Path, answer: str) -> None:
        """
        A file that comes too late, and says otherwise than the answer that came first, is kept under another name; what the
        agent was given takes its place.
        """
        if row.answer is not None and _says(row, answer):
            return
        try:
            late = put_aside(path, LATE)
        except OSError as error:
            log.warning("question.unwritten", path=str(path), error=error.strerror)
            return
        log.warning("question.answer_late", question=row.id, state=row.state, kept=late.name)
        if row.answer is not None:
            self._put(path, write_answer(task=row.task, answer=row.answer, by=row.answered_by or ""))

    def clear(self, run: str) -> None:
        """
        Before *run* has an agent: put aside what lies where its questions and their answers will be, unless the run before it
        may have left it there.  It comes from a conversation that the journal does not know.
        """
        task, _, number = run.rpartition("/")
        row = self._store.state.task(task)
        if row is None or self._store.state.run(f"{task}/{int(number) - 1}") is not None:
            return
        file = re.compile(rf"{re.escape(row.spec.id)}(?:-(\d+))?(?:-answer)?\.md")
        for path in sorted((self._home.questions / row.spec.day).glob("*.md")):
            found = file.fullmatch(path.name)
            if found is None or int(found[1] or 1) <= row.questions:
                continue
            try:
                log.warning("question.unknown", run=run, kept=put_aside(path, "unknown").name)
            except OSError as error:
                log.warning("question.unwritten", path=str(path), error=error.strerror)

    async def _take_question(self, day: str, path: Path) -> None:
        try:
            text = await read_text(path, QUESTION_LIMIT) or ""
        except OSError:
            # The machine is short of something: it is looked at again.
            self._watched.forget(path)
            raise
        written = read_question(text)
        task = self._task_of(day, path)
        if written is None or task is None:
            return

        def decide(state: State) -> Change[str | None]:
            row = state.task(task)
            run = state.run(row.run) if row is not None and row.run else None
            if row is None or row.state not in (TaskState.RUNNING, TaskState.WAITING) or run is None or not run.open:
                return Change(None)
            if run.phase in (RunPhase.STARTING, RunPhase.STOPPING):
                return Change(None)
            for known in state.questions(task=task):
                # Our own file of a question that came by tool, also when a person has written into it; or one that was read before.
                theirs = (known.request is None and not known.of_daemon) or self._home.question_file(
                    task, known.number
                ) != path
                if known.text == written.text or not (theirs or _foreign(text)):
                    return Change(None)
            name = f"{task}#{row.questions + 1}"
            return Change(
                name,
                ev.QuestionAsked(
                    question=name, run=run.key, text=written.text, header=written.header, options=written.options
                ),
            )

        name = await self._store.do(decide)
        if name is not None:
            log.info("question.asked", question=name, source=path.name)

    def _task_of(self, day: str, path: Path) -> str | None:
        """
        The live task whose question file *path* is.
        """
        stem = path.stem
        for row in sorted(self._store.state.tasks(day), key=lambda t: -len(t.spec.id)):
            if row.state.alive and re.fullmatch(re.escape(row.spec.id) + r"(-\d+)?", stem):
                return row.key
        return None

    # -- answering ---------------------------------------------------------------------------------------------------

    async def answer(
        self,
        *,
        task: str,
        question: str | None,
        text: str,
        options: list[str],
        by: str,
        request: str | None = None,
        method: str = "",
    ) -> str:
        """
        Record the answer, unless another came first; gives the question's id.

        Raises `AlreadyAnswered`, `NotFound`, `RequestError`.
        """

        def decide(state: State) -> Change[str]:
            row = lookup.question(state, task, question)
            if row.state is not QuestionState.OPEN:
                raise AlreadyAnswered(closed(row))
            given = compose(row, text, options)
            does: list[ev.AnyEvent] = []
            if row.about_account:
                does = account.follow(row.id, given, by)
            elif row.about_task:
                does = taskquestion.follow(state, row, given, by)
            elif row.of_daemon:
                does = dayquestion.follow(state, self._limits, row, given, by)
            return Change(row.id, ev.QuestionAnswered(question=row.id, answer=given, by=by), *does)

        return await self._store.do(decide, request=request, method=method)


def _foreign(text: str) -> bool:
    """
    True for a question file that is certainly not one of ours: of a long one the end, which would tell, is not read.
    """
    return len(text) < QUESTION_LIMIT and not says_how_to_answer(text)


def _says(row: QuestionRow, text: str) -> bool:
    """
    True when *text*, read from an answer file, is the answer that was given, in the person's words or as we write it there.
    """
    known = row.answer or ""
    ours = write_answer(task=row.task, answer=known, by=row.answered_by or "")
    # As it is read: with one kind of line ends.
    ours = ours.replace("\r\n", "\n").replace("\r", "\n")
    if text in (known, read_answer(ours)):
        return True
    try:
        return compose(row, text, []) == known
    except RequestError:
        return False
