"""
Messages to facts and answers: real captures first, then what captures do not hold.

Expected spend is worked out by hand from the raw lines: what each result says of itself since the last one; for a process
that gave none, tokens times list price.
"""

import json
from pathlib import Path

import pytest

from factories import OPUS, PRICES, RUN, SONNET, make_task, records, started, submitted
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.model import Usage, nano_usd
from orchestrd.domain.state import State
from orchestrd.policy.verdict import ALLOW, Verdict
from orchestrd.protocol import messages as m
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.control import STOP
from orchestrd.runner.heard import Heard
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.wording import describe, first_line

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.jsonl") if not path.stem.endswith(".wire"))
DENIED = Verdict(decision="deny", rule="git", reason="Git may only be read here.", target="git push")


def allow(_tool, _arguments, _cwd, _call):
    return ALLOW


def deny(_tool, _arguments, _cwd, _call):
    return DENIED


def interpreter(judge=allow) -> Interpreter:
    return Interpreter(RUN, PRICES, judge)


def read(name: str, *, size: int = 1 << 20, judge=allow) -> tuple[Interpreter, Heard]:
    """
    A capture, whole, in chunks of *size* bytes.
    """
    agent, stream, whole = interpreter(judge), ClaudeStream(), Heard()
    data = (CAPTURES / f"{name}.jsonl").read_bytes()
    parts = [agent.take(stream.feed(data[at : at + size])) for at in range(0, len(data), size)]
    for heard in (*parts, agent.take(stream.finish())):
        whole.facts += heard.facts
        whole.replies += heard.replies
        whole.asks += heard.asks
        whole.withdrawn += heard.withdrawn
    return agent, whole


def run_of(heard: Heard):
    """
    The run's row after all facts.
    """
    state = State()
    for record in records([*submitted(make_task()), started(), *heard.facts]):
        for row in fold(state, record):
            state.put(row)
    return state.run(RUN)


def lines_of(name: str) -> list[dict]:
    found = []
    for line in (CAPTURES / f"{name}.jsonl").read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class TestCaptures:
    @pytest.mark.parametrize(
        ("name", "nano"),
        [
            ("simple", 4_940_000),  # 10 in, 100 out, 2000 read, 500 written: 40,000 + 2,000,000 + 400,000 + 2,500,000
            ("partial", 72_760_000),
            ("resume1", 72_760_000),  # its total says 0.0777, of which 0.00494 are an earlier process's
            ("subagent", 17_130_000),  # both results say the same total
            ("bgbash", 3_750_000),
            ("ctl_hooks_sdkmcp", 6_250_000),
            ("ctl_queries", 2_500_000),
            ("ctl_cancel", 1_250_000),
            ("v197_multi", 101_400_000),
            ("v197_resume", 6_675_000),
            ("e529forever_mr2", 0),
            # No result: 100 in, 1 out, 1000 read, 50 written: 400,000 + 20,000 + 200,000 + 250,000
            ("SIGKILL_tool", 870_000),
            ("crash", 870_000),
            ("ctl_pending_sigterm", 870_000),
            ("SIGTERM_stream", 0),
        ],
    )
    def test_what_it_cost(self, name, nano):
        assert run_of(read(name)[1]).cost == nano

    @pytest.mark.parametrize("name", NAMES)
    def test_what_the_cli_says_of_itself_is_what_counts(self, name):
        results = [line for line in lines_of(name) if line.get("type") == "result"]
        run = run_of(read(name)[1])
        if results and all("model_usage_since_last_result" in line for line in results):
            since = sum(
                nano_usd(entry["costUSD"])
                for line in results
                for entry in line["model_usage_since_last_result"].values()
            )
            assert sum(spend.cost for spend in run.settled.values()) == since
        assert run.cost >= 0

    @pytest.mark.parametrize("name", NAMES)
    def test_any_chunks_say_the_same(self, name):
        whole = read(name)[1]
        size = 4096 if (CAPTURES / f"{name}.jsonl").stat().st_size < 500_000 else 65536
        small = read(name, size=size)[1]
        assert small.facts == whole.facts
        assert small.replies == whole.replies
        assert [ask.request for ask in small.asks] == [ask.request for ask in whole.asks]

    @pytest.mark.parametrize("name", NAMES)
    def test_every_tool_call_is_told_once_and_the_turn_begins_once(self, name):
        facts = read(name)[1].facts
        calls = [fact.call for fact in facts if isinstance(fact, ev.ToolCalled)]
        assert len(calls) == len(set(calls))
        assert sum(isinstance(fact, ev.RunInitialised) for fact in facts) <= 1

    @pytest.mark.parametrize("name", NAMES)
    def test_every_request_is_answered_or_asked_of_the_person(self, name):
        wanted = [line["request_id"] for line in lines_of(name) if line.get("type") == "control_request"]
        agent, heard = read(name)
        answered = [reply.request for reply in heard.replies] + [ask.request for ask in heard.asks]
        assert sorted(answered) == sorted(wanted)
        for request, line in ((reply.request, reply.line) for reply in heard.replies):
            assert json.loads(line)["response"]["request_id"] == request
            assert line.endswith(b"\n")
        assert agent.refused == ""

    def test_readings_are_what_partial_messages_say(self):
        facts = read("partial")[1].facts
        settled = [fact for fact in facts if isinstance(fact, ev.SpendSettled)]
        assert [fact.estimated for fact in settled] == [72_760_000]
        assert run_of(read("partial")[1]).drift == 0

    def test_a_resumed_2_1_197_counts_its_own_process_only(self):
        assert run_of(read("v197_sid1")[1]).cost == nano_usd(0.1014)

    @pytest.mark.parametrize(
        ("name", "is_error", "reason"),
        [
            ("simple", False, "completed"),
            ("e401", True, "api_error"),
            ("e413long", True, "prompt_too_long"),
            ("SIGINT_tool", True, "aborted_streaming"),
            ("defer1", False, "tool_deferred"),
        ],
    )
    def test_how_the_turn_ended(self, name, is_error, reason):
        run = run_of(read(name)[1])
        assert (run.is_error, run.terminal_reason, run.turns_ended) == (is_error, reason, 1)

    def test_a_question_comes_over_the_prompt_without_our_hook(self):
        # These captures were made without a PreToolUse hook: the prompt is answered, nobody waits.
        agent, heard = read("ctl_ask")
        assert heard.asks == []
        (reply,) = heard.replies
        line = reply.line
        assert json.loads(line)["response"]["response"]["behavior"] == "deny"
        assert agent.turn_over(set())

    def test_a_denied_call_is_a_violation(self):
        heard = read("ctl_hooks_sdkmcp", judge=deny)[1]
        hooks = [
            line for line in lines_of("ctl_hooks_sdkmcp") if line.get("request", {}).get("subtype") == "hook_callback"
        ]
        violations = [fact for fact in heard.facts if isinstance(fact, ev.ViolationSeen)]
        assert len(violations) == len(hooks)
        assert {(fact.rule, fact.target) for fact in violations} == {("git", "git push")}
        denials = [json.loads(reply.line) for reply in heard.replies if b"permissionDecision" in reply.line]
        assert {d["response"]["response"]["hookSpecificOutput"]["permissionDecision"] for d in denials} == {"deny"}

    def test_what_the_rules_of_the_cli_refuse_unasked_is_a_violation_too(self):
        call = m.ToolCall(id="t9", name="Write", input={"file_path": "/etc/x"})
        ruled = "<tool_use_error>File is in a directory that is denied by your permission settings.</tool_use_error>"
        refused = m.ToolResult(id="t9", is_error=True, text=ruled)
        agent = Interpreter(RUN, PRICES, deny)
        (fact,) = [f for f in agent.take([call, refused]).facts if isinstance(f, ev.ViolationSeen)]
        assert (fact.call, fact.rule, fact.seen_by) == ("t9", "git", "rules")
        # What the policy allows, or refused itself, is none.
        other = m.ToolResult(
            id="t9", is_error=True, text="<tool_use_error>File has not been read yet.</tool_use_error>"
        )
        assert not [f for f in agent.take([call, other]).facts if isinstance(f, ev.ViolationSeen)]
        allowed = Interpreter(RUN, PRICES, allow)
        assert not [f for f in allowed.take([call, refused]).facts if isinstance(f, ev.ViolationSeen)]


# -- what captures do not hold -------------------------------------------------------------------------------------------


def usage(message: str, *, final: bool = False, model: str = OPUS, **tokens: int) -> m.MessageUsage:
    return m.MessageUsage(message_id=message, model=model, usage=Usage(**tokens), final=final)


def result(**overrides) -> m.Result:
    values = {
        "is_error": False, "terminal_reason": "completed", "subtype": "success", "num_turns": 1, "text": "Done.",
        "errors": (), "stop_reason": "end_turn", "total_cost_usd": 0.0, "models_since": {}, "models_total": {},
        "usage": Usage(), "permission_denials": (), "index": 0, "api_error_status": None, "api_error": None,
        "deferred_tool": None, "origin": None, "startup_failure_reason": None, "duration_ms": 1, "session": "s",
    }  # fmt: skip
    return m.Result(**(values | overrides))


def cost(dollars: float, **tokens: int) -> m.ModelCost:
    return m.ModelCost(usage=Usage(**tokens), cost_usd=dollars, listed=True)


def hook(tool: str = "Bash", request: str = "h1", **arguments) -> m.HookRequest:
    return m.HookRequest(
        request_id=request, callback_id="hook_0", event="PreToolUse", tool_name=tool, tool_input=arguments,
        tool_use_id="t1", cwd="/tree/sub",
    )  # fmt: skip


QUESTION = {
    "questions": [
        {
            "question": "Which DB?",
            "header": "DB",
            "multiSelect": False,
            "options": [{"label": "SQLite", "description": "d"}],
        }
    ]
}


class TestSpend:
    def test_a_response_that_is_told_again_adds_only_what_is_more(self):
        heard = interpreter().take(
            [
                usage("m1", input=100, output=1), usage("m1", input=100, output=1), usage("m1", final=True, input=100, output=9),
                usage("m1", input=100, output=1), usage("m2", model=SONNET, input=1),
            ]
        )  # fmt: skip
        assert [(f.message, f.model, f.usage, f.cost) for f in heard.facts] == [
            ("m1", OPUS, Usage(input=100, output=1), 100 * 4000 + 20_000),
            ("m1", OPUS, Usage(output=8), 8 * 20_000),
            ("m2", SONNET, Usage(input=1), 2000),
        ]

    def test_a_result_covers_what_was_read_before_it_and_late_repeats(self):
        agent = interpreter()
        agent.take([usage("m1", input=100, output=1)])
        heard = agent.take(
            [
                result(models_since={OPUS: cost(0.001, input=100, output=30)}),
                usage("m1", final=True, input=100, output=30),
            ]
        )
        settled, _ = heard.facts
        assert settled == ev.SpendSettled(
            run=RUN, source="result", estimated=420_000,
            spends=(ev.ModelSpend(model=OPUS, usage=Usage(input=100, output=30), cost=1_000_000),),
        )  # fmt: skip
        assert agent.meter.open == {}
        assert agent.meter.settled == {"m1"}

    def test_a_result_that_accounts_for_nothing_takes_readings_back(self):
        agent = interpreter()
        heard = agent.take([usage("m1", input=100), result(is_error=True)])
        assert heard.facts[1] == ev.SpendSettled(run=RUN, source="result", spends=(), estimated=400_000)
        assert run_of(heard).cost == 0

    def test_an_empty_turn_after_a_kill_is_no_result(self):
        # Claude Code 2.1.330, resumed after SIGKILL with a background agent alive: 40 ms before the real turn.
        empty = result(
            num_turns=0, text="", terminal_reason=None, models_since=None, total_cost_usd=0.0132, origin="task-notification",
            models_total={OPUS: cost(0.0132, input=1)},
        )  # fmt: skip
        agent = interpreter()
        assert agent.take([empty]).facts == []
        assert agent.result is None
        assert not agent.turn_over(set())

    def test_totals_of_one_process_are_compared_with_its_last(self):
        agent = interpreter()
        totals = [{OPUS: cost(0.1, input=10)}, {OPUS: cost(0.3, input=25), SONNET: cost(0.01, input=1)}]
        facts = agent.take([result(models_since=None, models_total=total) for total in totals]).facts
        settled = [fact.spends for fact in facts if isinstance(fact, ev.SpendSettled)]
        assert settled == [
            (ev.ModelSpend(model=OPUS, usage=Usage(input=10), cost=100_000_000),),
            (
                ev.ModelSpend(model=OPUS, usage=Usage(input=15), cost=200_000_000),
                ev.ModelSpend(model=SONNET, usage=Usage(input=1), cost=10_000_000),
            ),
        ]

    def test_an_unknown_model_is_counted_dear(self):
        (fact,) = interpreter().take([usage("m1", model="claude-nope-9", input=1)]).facts
        assert fact.cost == 4000

    @pytest.mark.parametrize(
        ("end", "mute"), [({"output_tokens": 9}, set()), ({}, {"a"}), ({"output_tokens": -5_000_000}, {"a"})]
    )
    def test_an_end_that_does_not_say_what_was_given(self, end, mute):
        message = {"id": "a", "model": OPUS, "content": [{"type": "text", "text": "Hm."}]}
        lines = [
            {"type": "assistant", "message": {**message, "usage": {"input_tokens": 1000, "output_tokens": 1}}},
            {"type": "stream_event", "event": {"type": "message_delta", "usage": end}, "api_message_id": "a"},
        ]
        agent = interpreter()
        agent.take(ClaudeStream().feed(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
        assert agent.meter.unmetered.names == mute
        account = {OPUS: cost(0.00402, input=1000, output=1)}
        agent.take([result(models_since=account, models_total=account)])
        assert agent.meter.unmetered.names == mute


class TestHooks:
    def test_the_policy_sees_tool_arguments_and_place(self):
        seen = []

        def judge(*call):
            seen.append(call)
            return ALLOW

        heard = interpreter(judge).take([hook(command="ls")])
        assert seen == [("Bash", {"command": "ls"}, "/tree/sub", "t1")]
        (reply,) = heard.replies
        request, line = reply.request, reply.line
        decision = json.loads(line)["response"]["response"]["hookSpecificOutput"]["permissionDecision"]
        assert (request, decision, heard.facts) == ("h1", "allow", [])

    def test_a_denial_says_why_and_is_recorded(self):
        heard = interpreter(deny).take([hook(command="git push")])
        assert heard.facts == [
            ev.ViolationSeen(
                run=RUN, call="t1", tool="Bash", rule="git", target="git push", reason=DENIED.reason, decision="deny"
            )
        ]
        specific = json.loads(heard.replies[0].line)["response"]["response"]["hookSpecificOutput"]
        assert (specific["permissionDecision"], specific["permissionDecisionReason"]) == ("deny", DENIED.reason)

    def test_what_a_denial_is_about_is_read_from_the_call_when_the_policy_does_not_say(self):
        agent = interpreter(lambda *_: Verdict(decision="deny", rule="outside", reason="no"))
        (fact,) = agent.take([hook("Write", file_path="/etc/x", content="y")]).facts
        assert fact.target == "/etc/x"

    def test_a_question_waits_for_the_person(self):
        agent = interpreter(deny)
        heard = agent.take([hook("AskUserQuestion", **QUESTION)])
        assert (heard.replies, heard.facts) == ([], [])
        (ask,) = heard.asks
        assert (ask.request, ask.input, ask.questions[0].text) == ("h1", QUESTION, "Which DB?")
        assert agent.activity == "asks: Which DB?"

    def test_a_question_taken_back(self):
        agent = interpreter()
        agent.take([hook("AskUserQuestion", **QUESTION)])
        assert agent.take([m.ControlCancel(request_id="h1")]).withdrawn == ["h1"]
        assert agent.take([m.ControlCancel(request_id="h1")]).withdrawn == []
        assert agent.take([m.ControlCancel(request_id="other")]).withdrawn == []

    @pytest.mark.parametrize("broken", [False, True])
    def test_an_answer_is_used_once_its_call_returned_well(self, broken):
        agent = interpreter()
        agent.take([hook("AskUserQuestion", **QUESTION)])
        assert agent.leave.asking("h1")
        agent.take([m.ToolResult(id="t1", is_error=broken, text=""), result(is_error=broken)])
        assert agent.leave.asking("h1") is broken
        assert not agent.leave.asking("other")

    @pytest.mark.parametrize("arguments", [{}, {"questions": []}, {"questions": "x"}, {"questions": [5]}])
    def test_a_question_without_a_question_waits_for_nobody(self, arguments):
        heard = interpreter().take([hook("AskUserQuestion", **arguments)])
        assert (len(heard.replies), heard.asks) == (1, [])

    def test_requests_that_nobody_serves_are_answered(self):
        heard = interpreter().take(
            [m.ControlUnknown(request_id="u1", subtype="new"), m.McpRequest(request_id="p1", server="x", message={})]
        )
        assert [reply.request for reply in heard.replies] == ["u1", "p1"]
        assert all(json.loads(reply.line)["response"]["subtype"] == "error" for reply in heard.replies)

    @pytest.mark.parametrize(
        ("judge", "requires", "behaviour"), [(allow, False, "allow"), (allow, True, "deny"), (deny, False, "deny")]
    )
    def test_a_prompt_is_answered_by_the_same_policy(self, judge, requires, behaviour):
        asked = m.PermissionRequest(
            request_id="p1", tool_name="Bash", input={"command": "x"}, tool_use_id="t", requires_user=requires
        )
        (reply,) = interpreter(judge).take([asked]).replies
        line = reply.line
        assert json.loads(line)["response"]["response"]["behavior"] == behaviour


class TestTurnOver:
    def agent(self, *messages) -> Interpreter:
        agent = interpreter()
        agent.take(list(messages))
        return agent

    @pytest.mark.parametrize(
        "sign",
        [
            m.StateChanged(state="running"),
            m.Init(session="s", model=OPUS),
            usage("m2", input=1),
            m.ToolCall(id="t9", name="Bash", input={}, message_id="m2"),
        ],
        ids=["state", "init", "response", "call"],
    )
    @pytest.mark.parametrize("rest", [(), (m.StateChanged(state="idle"),)], ids=["silent", "idle"])
    def test_a_turn_that_it_begins_by_itself_ends_with_a_result_of_its_own(self, sign, rest):
        agent = self.agent(usage("m1", input=1), result(), *rest)
        assert agent.turn_over(set())
        assert agent.reported(set())
        agent.take([usage("m1", input=1, final=True)])
        assert agent.reported(set()), "a late repeat of a response that was accounted for"
        agent.take([sign])
        assert not agent.turn_over(set())
        assert not agent.reported(set())
        agent.take([result(), *rest])
        assert agent.reported(set())
        assert agent.turn_over(set()) is (bool(rest) or not isinstance(sign, m.StateChanged))

    def test_only_after_a_result(self):
        assert not self.agent().turn_over(set())
        assert not self.agent(m.StateChanged(state="idle")).turn_over(set())
        assert self.agent(result()).turn_over({"u1"})

    def test_not_before_it_is_idle(self):
        assert not self.agent(m.StateChanged(state="running"), result()).turn_over(set())
        assert self.agent(m.StateChanged(state="running"), result(), m.StateChanged(state="idle")).turn_over(set())

    def test_not_when_the_next_turn_has_begun(self):
        again = m.Init(session="s")
        assert not self.agent(result(), m.StateChanged(state="idle"), again).turn_over(set())

    def test_not_while_something_works_in_the_background(self):
        started = m.BackgroundTasks(ids=("a1",))
        assert not self.agent(started, result()).turn_over(set())
        assert not self.agent(started, result()).reported(set())
        assert self.agent(started, result(), m.BackgroundTasks(ids=())).turn_over(set())

    def test_not_when_an_interrupt_ended_what_worked_in_the_background(self):
        """
        The turn before that was reported as a success; what it had begun was not brought to its end, nor gone on with.
        """
        stopped = m.ControlReply(request_id=STOP, ok=True, response={})
        idle, begun, ended = m.StateChanged(state="idle"), m.BackgroundTasks(ids=("a1",)), m.BackgroundTasks(ids=())
        assert not self.agent(begun, result(), idle, stopped, ended).turn_over(set())
        assert not self.agent(begun, result(), idle, ended, stopped).turn_over(set())
        assert self.agent(begun, ended, result(), idle, stopped).turn_over(set())
        assert self.agent(result(), stopped, idle).turn_over(set()), "it had nothing left to do"

    def test_not_before_every_message_of_ours_is_done(self):
        done = m.Lifecycle(uuid="u1", state="completed")
        assert self.agent(done, result()).turn_over({"u1"})
        assert not self.agent(done, result()).turn_over({"u1", "u2"})
        assert not self.agent(done, result(), m.Lifecycle(uuid="u2", state="started")).turn_over({"u1", "u2"})


class TestFailure:
    def test_the_word_for_it_is_that_of_the_last_result(self):
        agent = interpreter()
        agent.take([m.ApiFailure(kind="max_output_tokens", status=None, text="x"), result(is_error=True)])
        assert agent.failure == "max_output_tokens"
        agent.take([usage("m2", input=1), result()])
        assert agent.failure == ""


class TestOther:
    def test_a_refused_initialize_is_remembered(self):
        agent = interpreter()
        agent.take([m.ControlReply(request_id="other", ok=False, response={}, error="x")])
        assert agent.refused == ""
        agent.take([m.ControlReply(request_id="initialize", ok=False, response={}, error="too old")])
        assert agent.refused == "too old"

    def test_what_it_does(self):
        agent = interpreter()
        call = m.ToolCall(id="t1", name="Bash", input={"command": "npm test\nnpm run build"}, subagent="s")
        (fact,) = agent.take([call]).facts
        assert fact == ev.ToolCalled(run=RUN, call="t1", tool="Bash", target="npm test", subagent="s")
        assert agent.activity == "Bash npm test"
        agent.take([m.Text(message_id="m", text="\n  Now the tests.\nMore.", subagent=None)])
        assert agent.activity == "Now the tests."
        agent.take([m.Text(message_id="m", text="not mine", subagent="s")])
        assert agent.activity == "Now the tests."

    def test_retries_limits_and_damage_are_facts(self):
        heard = interpreter().take(
            [
                m.ApiRetry(attempt=2, max_retries=10, delay_ms=500, status=529, error="overloaded"),
                m.RateLimit(status="rejected", resets_at=9.0, kind="five_hour", utilization=1.0),
                m.Malformed(offset=5, length=7, reason="not JSON"), m.Oversize(offset=12, length=99),
            ]
        )  # fmt: skip
        assert heard.facts == [
            ev.RetrySeen(run=RUN, attempt=2, status=529, error="overloaded"),
            ev.RateLimitSeen(run=RUN, status="rejected", window="five_hour", utilization=1.0, resets_at=9.0),
            ev.StreamDamaged(run=RUN, offset=5, length=7, reason="not JSON"),
            ev.StreamDamaged(run=RUN, offset=12, length=99, reason="line too long"),
        ]

    def test_a_window_is_used_up_until_the_same_is_not(self):
        def told(agent, kind, status, resets_at=None):
            agent.take([m.RateLimit(status=status, resets_at=resets_at, kind=kind, utilization=None)])
            return agent.window and agent.window.kind

        agent = interpreter()
        assert told(agent, "five_hour", "rejected", 5.0) == "five_hour"
        assert told(agent, "seven_day", "allowed_warning") == "five_hour"
        assert told(agent, "seven_day", "rejected", 9.0) == "seven_day"
        assert told(agent, "seven_day", "allowed") == "five_hour"
        assert told(agent, "five_hour", "allowed") is None

    def test_a_window_beyond_which_is_paid_for_is_not_used_up(self):
        def told(agent, *, overage):
            window = m.RateLimit(status="rejected", resets_at=9.0, kind="seven_day", utilization=1.0, overage=overage)
            return agent.take([window]).facts

        agent = interpreter()
        (fact,) = told(agent, overage=True)
        assert (fact.status, fact.overage) == ("rejected", True)
        assert agent.window is None
        told(agent, overage=False)
        assert agent.window is not None
        told(agent, overage=True)
        assert agent.window is None

    def test_a_long_last_word_is_cut_for_the_journal(self):
        facts = interpreter().take([result(text="x" * 9000)]).facts
        assert len(facts[0].text) == 4000

    def test_the_turn_begins_once_however_often_it_is_announced(self):
        init = m.Init(session="s", model=OPUS, cli_version="2.1.330")
        assert interpreter().take([init, init, init]).facts == [
            ev.RunInitialised(run=RUN, model=OPUS, cli_version="2.1.330")
        ]

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"file_path": "/a", "content": "x"}, "/a"), ({"command": "  \n ls \n"}, "ls"), ({"pattern": "x", "path": "/"}, "x"),
            ({"command": "", "description": "d"}, "d"), ({"command": 5}, ""), ({}, ""), ({"command": "x" * 900}, "x" * 199 + "…"),
        ],
    )  # fmt: skip
    def test_what_a_call_is_about(self, arguments, text):
        assert describe(arguments) == text

    def test_first_lines(self):
        assert first_line("") == first_line("\n \n") == ""
        assert first_line("x" * 121) == "x" * 119 + "…"
        assert first_line("x" * 120) == "x" * 120


class TestAccounts:
    def test_it_is_worth_asking_after_what_may_have_cost_something(self):
        agent = Interpreter(RUN, PRICES, lambda *_: ALLOW)
        for message in (m.StateChanged(state="running"), m.Lifecycle(uuid="u", state="queued")):
            agent.take([message])
            assert not agent.stirred
        agent.take([m.MessageUsage(message_id="m1", model=OPUS, usage=Usage(input=1), final=False)])
        assert agent.stirred

    @pytest.mark.parametrize("told", [{}, {"session": {"total_cost_usd": 1.0}}])
    def test_a_cli_that_does_not_tell_is_not_asked_again(self, told):
        agent = Interpreter(RUN, PRICES, lambda *_: ALLOW)
        assert agent.take([m.ControlReply(request_id="usage-0", ok=True, response=told)]).facts == []
        assert not agent.accountable

    @pytest.mark.parametrize("told", [{}, {"session": {"total_cost_usd": 1.0}}])
    def test_one_that_told_before_is(self, told):
        agent = Interpreter(RUN, PRICES, lambda *_: ALLOW)
        agent.take([m.ControlReply(request_id="usage-0", ok=True, response={"session": {"model_usage": {}}})])
        agent.take([m.ControlReply(request_id="usage-1", ok=True, response=told)])
        assert (agent.accountable, agent.stirred) == (True, True)

    def test_nor_is_one_that_does_not_know_the_question(self):
        agent = Interpreter(RUN, PRICES, lambda *_: ALLOW)
        refused = m.ControlReply(
            request_id="usage-1", ok=False, response={}, error="Unsupported control request subtype"
        )
        assert agent.take([refused]).facts == []
        assert not agent.accountable


class TestActivity:
    """
    What a person is told that it does.
    """

    @staticmethod
    def begun(name: str, subagent: str | None = None) -> m.MessageUsage:
        return m.MessageUsage(message_id=name, model=OPUS, usage=Usage(input=10), final=False, subagent=subagent)

    @staticmethod
    def call(call: str, command: str, of: str = "m1") -> m.ToolCall:
        return m.ToolCall(id=call, name="Bash", input={"command": command}, message_id=of, subagent=None)

    @staticmethod
    def back(call: str) -> m.ToolResult:
        return m.ToolResult(id=call, is_error=False, text="", subagent=None)

    def test_a_retry_is_over_when_the_model_answers(self):
        agent = interpreter()
        retry = m.ApiRetry(attempt=3, max_retries=10, delay_ms=500, status=529, error="overloaded")
        agent.take([self.begun("m1"), retry])
        assert agent.activity == "the API is asked again (overloaded, attempt 3)"
        agent.take([self.begun("m1"), self.begun("s1", "a")])
        assert agent.activity == "the API is asked again (overloaded, attempt 3)", (
            "that is another conversation, or none"
        )
        agent.take([self.begun("m2")])
        assert agent.activity == "the model answers"

    def test_a_call_is_over_when_it_has_returned(self):
        agent = interpreter()
        agent.take([self.begun("m1"), self.call("t1", "npm test"), self.call("t2", "make"), self.back("t2")])
        assert agent.activity == "Bash npm test", "it is under way"
        agent.take([self.back("t1")])
        assert agent.activity == "Bash npm test (has returned)"
        agent.take([self.begun("m2")])
        assert agent.activity == "the model answers"

    @staticmethod
    def delegate(call: str, task: str, *alive: str, subagent: str | None = None) -> list[m.Message]:
        """
        A subagent begins beside *alive* others, by a call that returns at once (Claude Code 2.1.330).
        """
        begun = m.ToolCall(id=call, name="Agent", input={"description": task}, message_id="m1", subagent=subagent)
        told = m.BackgroundTask(task_id=task, tool_use_id=call, status="started", kind="local_agent")
        back = m.ToolResult(id=call, is_error=False, text="", subagent=subagent)
        return [begun, m.BackgroundTasks(ids=(*alive, task)), told, back]

    def test_a_subagent_is_at_work_though_its_call_has_returned(self):
        agent = interpreter()
        agent.take([self.begun("m1"), *self.delegate("a1", "outer")])
        assert agent.activity == "Agent outer (at work)"
        agent.take([self.begun("m2")])
        assert agent.activity == "the model answers"
        agent.take([m.Text(message_id="m2", text="Waiting."), result(text="Waiting."), m.StateChanged(state="idle")])
        assert agent.activity == "Agent outer (at work)"
        agent.take(self.delegate("a2", "inner", "outer", subagent="a1"))
        assert agent.activity == "Agent inner (at work)"
        agent.take([m.ToolCall(id="t1", name="Bash", input={"command": "make"}, subagent="a2")])
        assert agent.activity == "Bash make"
        agent.take([m.ToolResult(id="t1", is_error=False, text="", subagent="a2")])
        assert agent.activity == "Agent inner (at work)"
        agent.take(
            [m.BackgroundTask(task_id="inner", tool_use_id="", status="completed"), m.BackgroundTasks(ids=("outer",))]
        )
        assert agent.activity == "Agent outer (at work)"
        agent.take([m.BackgroundTasks(ids=())])
        assert agent.activity == "Bash make (has returned)"

    def test_a_command_in_the_background_is_no_subagent(self):
        agent = interpreter()
        command = m.BackgroundTask(task_id="b1", tool_use_id="t1", status="started", kind="local_bash")
        alive = m.BackgroundTasks(ids=("b1",), commands=("b1",))
        agent.take([self.begun("m1"), self.call("t1", "make serve"), alive, command, self.back("t1")])
        assert agent.activity == "Bash make serve (has returned)"
