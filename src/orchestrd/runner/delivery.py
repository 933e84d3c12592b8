"""
A person's answers, handed over to the agent that asked.
"""

from __future__ import annotations

from orchestrd.domain import permission
from orchestrd.failpoint import failpoint
from orchestrd.protocol import control
from orchestrd.protocol.questions import answered
from orchestrd.runner.desk import Desk
from orchestrd.runner.heard import Ask
from orchestrd.runner.voice import Voice


async def deliver(run: str, desk: Desk, voice: Voice, asks: dict[str, Ask]) -> None:
    """
    Hand over every answer that is recorded and not yet delivered; who asked by tool is taken out of *asks*.
    """
    due = [q for q in desk.questions(run) if q.state == "answered"]
    for request in {q.request for q in due if q.request is not None}:
        group = [q for q in desk.questions(run) if q.request == request]
        ask = asks.get(request)
        if ask is None or any(q.answer is None for q in group):
            continue
        if ask.permit is not None and desk.row(run).stopping is not None:
            continue  # what is being ended makes no further call
        line = _line(request, ask, [q.answer or "" for q in group])
        failpoint("session.answer.before_write")
        voice.answer([(request, line)])
        failpoint("session.answer.written")
        if not voice.flush():
            return  # on a full disk it is not in the agent's hands yet
        asks.pop(request, None)
        await desk.delivered([q for q in group if q.state == "answered"])
    for question in (q for q in due if q.request is None):
        text = f"Answer to your question {question.id}:\n\n{question.answer}\n\nGo on with the task."
        voice.tell(question.id, text)
        if not voice.flush():
            return
        await desk.delivered([question])


def _line(request: str, ask: Ask, given: list[str]) -> bytes:
    """
    The line that hands over what was *given*: answers to what the agent asked, or leave for its call.
    """
    if ask.permit is None:
        answers = answered(ask.questions, given)
        return control.hook_allow(request, updated_input={**ask.input, "answers": answers})
    ruling = permission.ruling(given[0])
    if ruling.allows:
        return control.hook_allow(request)
    return control.hook_deny(request, permission.denial(ask.permit, ruling))
