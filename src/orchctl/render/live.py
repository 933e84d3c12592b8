"""
A day as it goes on: a live table on a terminal, one line per change elsewhere.
"""

from __future__ import annotations

import re
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.live import Live
from rich.text import Text

from orchctl.render import figures, states
from orchctl.render.day import day, evidence
from orchctl.render.question import how_to_answer
from orchctl.render.screen import Screen
from orchestrd.protocol import api

Questions = Mapping[str, api.Question]
_FRAME_ROWS = 9
"""Lines of the live view that are not tasks, and the prompt's."""
_SPENT = re.compile(r"\d+%|\(\$[\d,.]+ spent\)", re.ASCII)


class View(Protocol):
    """
    Something that shows a day again and again; used as a context manager.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None: ...

    def show(self, status: api.Status, questions: Questions) -> None:
        """
        The day changed, or may have.
        """
        ...

    def tick(self) -> None:
        """
        Nothing changed but the time.
        """
        ...


def view(screen: Screen) -> View:
    """
    The view that fits the output.
    """
    return DayTable(screen) if screen.terminal else ChangeLog(screen)


class DayTable:
    """
    A table that is drawn over itself.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._live = Live(console=screen.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._seen: tuple[api.Status, Questions, float] | None = None
        self._echo = QuietInterrupt()

    def __enter__(self) -> Self:
        self._echo.hush()
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._seen is not None:
            self._draw(whole=True)
        self._live.stop()
        self._echo.restore()

    def show(self, status: api.Status, questions: Questions) -> None:
        self._seen = (status, questions, time.monotonic())
        self._draw()

    def tick(self) -> None:
        self._draw()

    def _draw(self, *, whole: bool = False) -> None:
        if self._seen is None:
            return
        status, questions, at = self._seen
        height = self._screen.console.height
        picture = day(
            status,
            questions,
            width=self._screen.width,
            rows=None if whole else max(3, height - _FRAME_ROWS),
            later=time.monotonic() - at,
            now=time.time(),
            ascii_only=self._screen.ascii,
        )
        self._live.update(picture, refresh=True)


class QuietInterrupt:
    """
    Keeps the terminal from writing ``^C`` into a picture that is drawn over itself.
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def hush(self) -> None:
        """
        Show no control characters that are typed.
        """
        try:
            self._before = termios.tcgetattr(0)
            quiet = list(self._before)
            quiet[3] &= ~termios.ECHOCTL
            termios.tcsetattr(0, termios.TCSANOW, quiet)
        except (termios.error, OSError):
            self._before = None

    def restore(self) -> None:
        """
        As it was.
        """
        if self._before is not None:
            termios.tcsetattr(0, termios.TCSANOW, self._before)


class ChangeLog:
    """
    One line per change, for files, pipes and continuous integration.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._before: api.Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        pass

    def show(self, status: api.Status, questions: Questions) -> None:
        stamp = time.strftime("%H:%M:%S")
        for line in changes(self._before, status, questions):
            self._screen.line(f"{stamp} {line}")
        self._before = status

    def tick(self) -> None:
        pass


def changes(before: api.Status | None, after: api.Status, questions: Questions) -> list[str]:
    """
    What a person would want to be told of, one line each, in file order.
    """
    known = {task.id: task for task in before.tasks} if before is not None and before.day == after.day else {}
    lines: list[str] = []
    for task in after.tasks:
        earlier = known.get(task.id)
        if earlier is None or earlier.state != task.state or earlier.attempts != task.attempts:
            lines.append(_moved(task))
        if task.violations > (earlier.violations if earlier else 0) and task.state != "failed":
            lines.append(f"{task.id} tried what is forbidden: orchctl events --task {task.id}")
        if task.question and task.question != (earlier.question if earlier else None):
            asked = questions.get(task.question)
            text = figures.one_line(asked.text) if asked else task.question
            lines.append(f"{task.id} asks: {text}")
            if asked is not None:
                options = (f"{option.key}) {figures.one_line(option.label)}" for option in asked.options)
                lines += [f"{task.id}   {text}" for text in (*options, how_to_answer(asked))]
    heard = {question.id for question in before.asks} if before is not None else set()
    for question in (q for q in after.asks if q.id not in heard):
        options = (f"{option.key}) {figures.one_line(option.label)}" for option in question.options)
        lines += [figures.one_line(question.text), *(f"  {text}" for text in (*options, how_to_answer(question)))]
    past, cost = before.cost.fraction if before is not None else 0.0, after.cost
    if any(past < mark <= cost.fraction for mark in (0.5, 1.0)):
        spent, limit = figures.money(cost.spent_usd), figures.money(cost.limit_usd)
        lines.append(f"cost {spent} of {limit} ({cost.fraction:.0%})")
    warned = {_about(words) for words in before.warnings} if before is not None and before.day == after.day else set()
    lines += [figures.one_line(words) for words in after.warnings if _about(words) not in warned]
    hold = after.daemon.hold
    if hold and (before is None or before.daemon.hold != hold):
        lines.append(f"nothing new starts: {figures.one_line(hold)}")
    return lines


def closing(status: api.Status, tasks: list[str]) -> Text:
    """
    One line on how the named tasks of the day ended.
    """
    wanted = [task for task in status.tasks if task.id in tasks]
    done = sum(task.state == "succeeded" for task in wanted)
    style = "green" if done == len(wanted) else "red"
    line = Text.assemble((f"{done} of {figures.many(len(wanted), 'task')} succeeded", style))
    line.append(f", {figures.money(status.cost.spent_usd)} spent")
    line.append(f".  Evening report: orchctl report {status.day}", style="dim")
    return line


def _about(warning: str) -> str:
    """
    A *warning* without what is spent by now, which goes up from one look to the next.
    """
    return _SPENT.sub("", warning)


def _moved(task: api.TaskStatus) -> str:
    words = [f"{task.id} {task.state}"]
    if task.state not in states.ORDER[:3]:
        words.append(f"{figures.span(task.worked_seconds)} {figures.money(task.cost_usd)}")
    detail = evidence(task) if task.state == "succeeded" else figures.one_line(task.why)
    if task.question:
        detail = ""
    elif task.state == "running" and task.attempts > 1:
        detail = f"attempt {task.attempts}"
    return " · ".join([*words, detail] if detail else words)
