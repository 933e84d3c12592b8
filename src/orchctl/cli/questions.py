"""
``questions`` and ``answer``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from orchctl.cli.options import DayOption, TaskArgument, invocation


def questions(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Answered and withdrawn ones too.")] = False,
    day: DayOption = None,
) -> None:
    """
    What agents ask, and how to answer.
    """
    from orchestrd.protocol import api

    here = invocation(ctx)
    found: list[api.Question] = here.client().call("question.list", api.QuestionList(day=day, all=everything))
    if here.json:
        here.emit(found)
        return
    from orchctl.render.question import questions as readable

    here.screen.show(readable(found, everything=everything, now=time.time()))


def answer(
    ctx: typer.Context,
    task: TaskArgument,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Your words; - reads standard input.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="A", help="An offered answer by letter or label.")
    ] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", metavar="FILE", help="Your words, from a file.")] = None,
    question: Annotated[
        str | None, typer.Option("--question", metavar="ID", help="Which question; else the task's oldest open one.")
    ] = None,
) -> None:
    """
    Answer a task's question; the first answer wins.
    """
    from orchctl.failures import Misuse
    from orchestrd.protocol import api

    if text is not None and file is not None:
        raise Misuse("TEXT and --file exclude each other")
    words = _words(text, file)
    if not words and not option:
        raise Misuse("an answer needs TEXT, --option or --file", hint="See the question: orchctl questions")
    here = invocation(ctx)
    params = api.AnswerQuestion(task=task, text=words, options=option or [], question=question)
    given: api.Question = here.client().call("question.answer", params)
    if here.json:
        here.emit(given)
        return
    from orchctl.render.figures import one_line

    here.screen.line(f"{given.id} answered: {one_line(given.answer or '', 200)}")


def _words(text: str | None, file: str | None) -> str:
    from orchctl.failures import Misuse

    if file is not None and file != "-":
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Misuse(f"{file}: cannot be read: {error}") from None
    if text == "-" or file == "-":
        return sys.stdin.read().strip()
    return (text or "").strip()
