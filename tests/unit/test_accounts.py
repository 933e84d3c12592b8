"""
When an agent is asked what it has spent, and which of its calls wait for the answer.
"""

from __future__ import annotations

from typing import Any

import pytest

from factories import OPUS, PRICES, RUN
from orchestrd.domain.model import Usage
from orchestrd.policy.verdict import ALLOW, Verdict
from orchestrd.protocol import messages as m
from orchestrd.runner.accounts import AGAIN, END, NOW_AND_THEN, PATIENCE, Accounts
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.meter import BEFORE

DENY = Verdict(decision="deny", rule="git", reason="no", target="t")


class Clock:
    """
    Stands where it is put.
    """

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Voice:
    """
    Notes what was asked.
    """

    def __init__(self) -> None:
        self.answered: set[str] = set()
        self.asked: list[str] = []

    def ask_account(self) -> str:
        self.asked.append(f"usage-{len(self.asked) + 1}")
        return self.asked[-1]


class Agent:
    """
    An agent as its session has it: what it says, what is asked of it, and which of its calls have been answered.
    """

    def __init__(self, verdict: Verdict = ALLOW, *, tells: bool = True) -> None:
        self.clock, self.voice = Clock(), Voice()
        self.interpreter = Interpreter(RUN, PRICES, lambda *_: verdict)
        self.accounts = Accounts(self.interpreter, self.voice, self.clock)  # type: ignore[arg-type]
        self.answers: list[str] = []
        self.spent = [0, 0]
        self.says(reply(BEFORE, 0, 0) if tells else failure(BEFORE))

    def says(self, *messages: Any) -> None:
        """
        A piece of its output is read.
        """
        self._answer(self.interpreter.take(list(messages)).replies)

    def look(self, after: float = 0.0) -> None:
        """
        The session looks at it *after* so many seconds.
        """
        self.clock.now += after
        self.accounts.ask()
        self._answer([])

    def _answer(self, replies: list[Any]) -> None:
        self.answers += [reply.request for reply in self.accounts.ready(replies)]
        self.voice.answered |= set(self.answers)

    def responds(self, name: str, call: str, *, by: str | None = None, model: str = OPUS, final: bool = False) -> None:
        """
        A response calls a tool, and the call asks for leave.
        """
        used = Usage(input=1000, output=1)
        self.says(
            m.MessageUsage(message_id=name, model=model, usage=used, final=final, subagent=by),
            m.ToolCall(id=call, name="Bash", input={"command": "ls"}, message_id=name, subagent=by),
            leave(call, by=by and f"agent of {by}"),
        )

    def accounts_for(self, tokens: int, output: int) -> None:
        """
        It answers the last question.
        """
        self.says(reply(self.voice.asked[-1], tokens, output))


def reply(name: str, tokens: int, output: int) -> m.ControlReply:
    cost = (tokens * 4000 + output * 20_000) / 1e9
    used = {"inputTokens": tokens, "outputTokens": output, "costUSD": cost, "costBasis": "list"}
    return m.ControlReply(
        request_id=name, ok=True, response={"session": {"model_usage": {OPUS: used} if tokens else {}}}
    )


def failure(name: str) -> m.ControlReply:
    return m.ControlReply(request_id=name, ok=False, response={}, error="unknown")


def leave(call: str, *, by: str | None = None) -> m.HookRequest:
    return m.HookRequest(
        request_id=f"leave {call}", callback_id="h", event="PreToolUse", tool_name="Bash",
        tool_input={"command": "ls"}, tool_use_id=call, subagent=by,
    )  # fmt: skip


@pytest.mark.parametrize("verdict", [ALLOW, DENY])
def test_a_subagents_call_waits_until_what_called_it_is_accounted_for(verdict):
    agent = Agent(verdict)
    agent.responds("s1", "c1", by="a")
    assert agent.answers == []
    agent.look()
    assert agent.voice.asked == ["usage-1"]
    agent.look(after=AGAIN)
    assert (agent.voice.asked, agent.answers) == (["usage-1"], []), "one question is enough"
    agent.accounts_for(1000, 500)
    assert agent.answers == ["leave c1"]


def test_the_main_conversations_does_not():
    agent = Agent()
    agent.responds("m1", "c1", final=True)
    assert agent.answers == ["leave c1"]


@pytest.mark.parametrize("ends", [True, False])
def test_the_main_conversations_waits_a_moment_for_the_end_of_its_response(ends):
    agent = Agent()
    agent.responds("m1", "c1")
    agent.look(after=END / 2)
    assert agent.answers == []
    if ends:
        agent.says(m.MessageUsage(message_id="m1", model=OPUS, usage=Usage(input=1000, output=9), final=True))
    else:
        agent.look(after=END)
    assert agent.answers == ["leave c1"]


def test_one_that_asks_before_its_response_is_told_waits_for_that():
    agent = Agent()
    agent.says(leave("c1", by="a"))
    agent.look()
    agent.accounts_for(500, 1)
    assert agent.answers == []
    used = Usage(input=1000, output=1)
    agent.says(
        m.MessageUsage(message_id="s1", model=OPUS, usage=used, final=False, subagent="a"),
        m.ToolCall(id="c1", name="Bash", input={"command": "ls"}, message_id="s1", subagent="a"),
    )
    agent.look(after=AGAIN)
    assert agent.answers == []
    agent.accounts_for(1500, 500)
    assert agent.answers == ["leave c1"]
    # Of a nested one nothing is ever told.
    agent.says(leave("c2", by="n"))
    agent.look()
    agent.accounts_for(1700, 600)
    agent.look(after=END)
    assert agent.answers == ["leave c1", "leave c2"]


def test_one_question_serves_all_that_wait_but_none_that_came_later():
    agent = Agent()
    agent.responds("s1", "c1", by="a")
    agent.responds("t1", "c2", by="b")
    agent.look()
    agent.responds("u1", "c3", by="c")
    agent.accounts_for(2000, 1000)
    assert agent.answers == ["leave c1", "leave c2"]
    agent.look()
    assert agent.voice.asked == ["usage-1", "usage-2"]
    agent.accounts_for(3000, 1500)
    assert agent.answers == ["leave c1", "leave c2", "leave c3"]


def test_where_the_call_came_before_the_end_of_its_response_it_is_asked_again_for_a_while():
    agent = Agent()
    agent.responds("m1", "c0", final=True)
    agent.responds("s1", "c1", by="a")
    agent.look()
    agent.accounts_for(1000, 1)
    agent.look()
    assert agent.answers == ["leave c0"]
    assert len(agent.voice.asked) == 1
    agent.look(after=AGAIN)
    assert len(agent.voice.asked) == 2
    agent.accounts_for(1000, 1)
    assert agent.answers == ["leave c0"]
    # Its response goes on for longer than that: no other comes before its end.
    agent.look(after=PATIENCE)
    agent.accounts_for(1000, 1)
    assert agent.answers == ["leave c0", "leave c1"]


def test_without_an_answer_it_waits_for_good():
    agent = Agent()
    agent.responds("s1", "c1", by="a")
    for _ in range(100):
        agent.look(after=1.0)
    assert (agent.answers, len(agent.voice.asked)) == ([], 1)


def test_it_does_not_wait_for_an_agent_that_cannot_tell():
    agent = Agent(tells=False)
    agent.responds("s1", "c1", by="a")
    agent.look()
    assert (agent.answers, agent.voice.asked) == (["leave c1"], [])


def test_one_that_could_tell_and_fails_is_asked_until_it_tells():
    agent = Agent()
    agent.responds("s1", "c1", by="a")
    agent.look()
    for number in range(1, 5):
        agent.says(failure(f"usage-{number}"))
        agent.look(after=2 * AGAIN)
        assert (agent.answers, len(agent.voice.asked)) == ([], number + 1)
    assert set(agent.voice.asked) - agent.interpreter.replied == set(agent.voice.asked), "which the watchdog sees"
    agent.accounts_for(1000, 500)
    assert agent.answers == ["leave c1"]
    assert not set(agent.voice.asked) - agent.interpreter.replied
    agent.says(failure("usage-5"))
    agent.look(after=NOW_AND_THEN)
    assert len(agent.voice.asked) == 6, "also when nothing waits"


def test_what_was_answered_before_a_restart_does_not_wait():
    agent = Agent()
    agent.voice.answered.add("leave c1")
    agent.responds("s1", "c1", by="a")
    assert agent.answers == ["leave c1"]


def test_a_call_of_a_model_without_a_price_waits_until_an_account_tells_it():
    agent = Agent()
    agent.responds("m1", "c1", model="claude-mini-1", final=True)
    agent.look()
    used = {"inputTokens": 1000, "outputTokens": 1, "costUSD": 0.0004, "costBasis": "list"}
    assert agent.answers == []
    agent.says(
        m.ControlReply(request_id="usage-1", ok=True, response={"session": {"model_usage": {"claude-mini-1": used}}})
    )
    assert agent.answers == ["leave c1"]
    agent.responds("m2", "c2", model="claude-mini-1", final=True)
    assert agent.answers == ["leave c1", "leave c2"], "by now it is known"


@pytest.mark.parametrize(
    "end",
    [
        m.BackgroundTasks(ids=()),
        m.BackgroundTask(task_id="T", tool_use_id="a", status="completed"),
        m.ToolResult(id="refused", is_error=True, text="no such tool", subagent="a"),
        m.Compacted(trigger="auto", pre_tokens=1, post_tokens=1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_ends_without_a_call_is_asked_for_at_once(end):
    agent = Agent()
    agent.look()
    begin = m.BackgroundTask(task_id="T", tool_use_id="a", status="started", kind="local_agent")
    agent.says(m.ToolCall(id="a", name="Agent", input={}, message_id="m1"), m.BackgroundTasks(ids=("T",)), begin)
    agent.says(m.ToolResult(id="a", is_error=False, text="launched"))
    agent.says(m.MessageUsage(message_id="s1", model=OPUS, usage=Usage(input=1000), final=False, subagent="a"))
    agent.look()
    asked = len(agent.voice.asked)
    agent.look(after=AGAIN)
    assert len(agent.voice.asked) == asked
    agent.says(end)
    agent.look()
    assert len(agent.voice.asked) == asked + 1


def test_now_and_then_one_that_stirs_is_asked():
    agent = Agent()
    for seconds in (0.0, 0.5, NOW_AND_THEN, 10 * NOW_AND_THEN):
        agent.responds(f"m{seconds}", f"c{seconds}", final=True)
        agent.look(after=seconds)
    agent.look(after=10 * NOW_AND_THEN)
    assert len(agent.voice.asked) == 3
