"""
The commands as a person types them, against a small daemon that answers on a real socket with prepared values.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchctl.__main__ import main
from orchestrd.address import socket_path
from orchestrd.protocol import api, jsonrpc

DAY = "2026-11-22"
DAEMON = api.DaemonStatus(pid=4242, started_at="2026-11-22T08:00:00.000Z", version="0.1.0", home="/h", agents=1)


class Refusal(Exception):
    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = jsonrpc.ErrorObject(code=code, message=message, data=data)


class Daemon:
    """
    Answers each method with ``answers[method]``: a value, or a function of the parameters.
    """

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, Any] = {"daemon.status": DAEMON}
        self.calls: list[tuple[str, Any]] = []
        self.facts: list[api.EventRecord] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.path = path

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                request = jsonrpc.decode_request(line)
                params = msgspec.json.decode(request.params, type=api.METHODS[request.method].params)
                self.calls.append((request.method, params))
                try:
                    answer = self.answers[request.method]
                    value = answer(params) if callable(answer) else answer
                    connection.sendall(jsonrpc.result_line(request.id, value))
                except Refusal as refusal:
                    connection.sendall(jsonrpc.error_line(request.id, refusal.error))
                    continue
                if request.method == "events.subscribe":
                    for fact in self.facts:
                        connection.sendall(jsonrpc.notification_line("event", fact))

    def asked(self, method: str) -> list[Any]:
        return [params for name, params in self.calls if name == method]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("ORCHESTRD_HOME", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    root = tmp_path / "h"
    (root / "config").mkdir(parents=True)
    (root / "config" / "orchestrd.yaml").write_text("project: .\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def daemon(home: Path) -> Iterator[Daemon]:
    served = Daemon(socket_path(home, dict(os.environ)))
    yield served
    served.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def act(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    return act


def make_task(id: str = "task-001", **over: Any) -> api.TaskStatus:  # noqa: A002 - the field's name
    values: dict[str, Any] = {"id": id, "day": DAY, "name": "Write the guide", "state": "queued", **over}
    return api.TaskStatus(**values)


def make_status(*tasks: api.TaskStatus, **over: Any) -> api.Status:
    cost = api.CostStatus(spent_usd=1.5, reserved_usd=0.5, limit_usd=10.0, fraction=0.15)
    return api.Status(**{"day": DAY, "cost": cost, "tasks": list(tasks), "daemon": DAEMON, "seq": 7, **over})


QUESTION = api.Question(
    id=f"{DAY}/task-001#1",
    task=f"{DAY}/task-001",
    asked_at="2026-11-22T09:00:00.000Z",
    text="Which form?",
    options=[api.Option(key="A", label="Cents"), api.Option(key="B", label="Strings", description="readable")],
)
CHANGED = api.Changed(changed=[f"{DAY}/task-001"])


# -- the command line itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("answer",),
        ("submit",),
        ("init",),
        ("daemon", "dance"),
        ("cancel",),
        ("retry", "task-001", "--all"),
        ("retry", "task-001", "--account"),
        ("retry", "--account", "--all"),
        ("apply",),
        ("answer", "task-001"),
        ("answer", "task-001", "text", "--file", "x"),
        ("submit", "x", "--dry-run", "--wait"),
        ("wait", "--timeout", "soon"),
        ("logs", "task-001", "--attempt", "0"),
    ],
)
def test_a_wrong_command_line_is_exit_2_with_one_message(run: Any, home: Path, args: tuple[str, ...]) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_wrong_command_line_with_json_tells_it_as_json(run: Any, home: Path) -> None:
    code, out, err = run("status", "--json", "--nonsense")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"] == {
        "message": "No such option: --nonsense",
        "hint": "orchctl status --help",
        "code": jsonrpc.INVALID_PARAMS,
    }


def test_without_arguments_help_is_shown(run: Any) -> None:
    code, out, _ = run()
    assert code == 2
    for name in (
        "init",
        "submit",
        "status",
        "why",
        "answer",
        "questions",
        "diff",
        "apply",
        "restore",
        "logs",
        "cancel",
        "retry",
        "wait",
    ):
        assert f" {name} " in out
    assert run("--help")[0] == 0


@pytest.mark.parametrize(
    ("args", "method"),
    [
        (("status",), "task.status"),
        (("questions",), "question.list"),
        (("wait",), "task.wait"),
        (("report",), "report.get"),
        (("events",), "task.status"),
        (("daemon", "status"), "daemon.status"),
        (("cancel", "task-001"), "task.cancel"),
        (("why", "task-001"), "task.why"),
    ],
)
def test_home_and_json_stand_before_or_after_the_command(
    run: Any, home: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], method: str
) -> None:
    monkeypatch.chdir("/")
    report = api.ReportFiles(day=DAY, markdown="# R\n", data={}, path="/r.md", json_path="/r.json")
    daemon.answers |= {
        "task.status": make_status(seq=0),
        "question.list": [],
        "task.wait": api.Waited(done=True, timed_out=False, states={}),
        "report.get": report,
        "event.list": lambda p: api.Events(events=[], last=p.since),
        "task.cancel": CHANGED,
        "task.why": api.Why(task=f"{DAY}/task-001", state="queued", why="queued: all 3 agent slots are taken"),
    }
    before = run("--home", str(home), "--json", *args)
    after = run(*args, "--json", "--home", str(home))
    assert before == after
    assert before[0] == 0
    assert len(daemon.asked(method)) == 2
    if args != ("events",):
        json.loads(before[1])


def test_the_home_comes_from_the_environment_too(run: Any, home: Path, daemon: Daemon, monkeypatch: Any) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("ORCHESTRD_HOME", str(home))
    assert run("daemon", "status")[0] == 0


def test_outside_of_any_home_is_a_usage_error(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("ORCHESTRD_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    code, _, err = run("status")
    assert code == 2
    assert "orchctl init" in err


@pytest.mark.parametrize("command", ["status", "questions", "wait", "report", "events"])
def test_without_a_daemon_is_exit_3_and_says_how_to_start_one(run: Any, home: Path, command: str) -> None:
    code, out, err = run(command)
    assert (code, out) == (3, "")
    assert "orchctl daemon start" in err


@pytest.mark.parametrize(("status", "expected"), [(2, 2), (4, 4), (5, 5), (75, 4), (78, 4)])
def test_a_refusal_is_one_message_and_its_exit_status(run: Any, daemon: Daemon, status: int, expected: int) -> None:
    def refuse(_: Any) -> Any:
        raise Refusal(-32022, "it is running", hint="wait for it", exit_status=status)

    daemon.answers["task.retry"] = refuse
    code, out, err = run("retry", "task-001")
    assert (code, out, err) == (expected, "", "error: it is running\nhint: wait for it\n")
    code, out, err = run("retry", "task-001", "--json")
    assert (code, out) == (expected, "")
    assert json.loads(err) == {"error": {"message": "it is running", "hint": "wait for it", "code": -32022}}


# -- each command --------------------------------------------------------------------------------------------------------


def test_status_prints_the_struct_as_json(run: Any, daemon: Daemon) -> None:
    status = make_status(make_task())
    daemon.answers["task.status"] = status
    code, out, err = run("status", "--json", "--day", DAY)
    assert (code, err) == (0, "")
    assert msgspec.json.decode(out, type=api.Status) == status
    assert daemon.asked("task.status") == [api.StatusQuery(day=DAY)]


def test_why_is_one_line(run: Any, daemon: Daemon) -> None:
    found = api.Why(task=f"{DAY}/task-001", state="running", why="running since 09:00, attempt 1: \x1b[2Jls\r\n -l")
    daemon.answers["task.why"] = found
    assert run("why", "task-001", "--day", DAY) == (0, "running since 09:00, attempt 1: ls -l\n", "")
    assert daemon.asked("task.why") == [api.TaskName(task="task-001", day=DAY)]
    code, out, _ = run("why", "task-001", "--json")
    assert (code, msgspec.json.decode(out, type=api.Why)) == (0, found)

    def unknown(_: Any) -> None:
        raise Refusal(-32004, "there is no task x", hint="Known: task-001", exit_status=5)

    daemon.answers["task.why"] = unknown
    code, out, err = run("why", "x")
    assert (code, out) == (5, "")
    assert "there is no task x" in err


def test_status_shows_what_a_task_asks(run: Any, daemon: Daemon) -> None:
    daemon.answers |= {
        "task.status": make_status(make_task(state="waiting", question=QUESTION.id), make_task("task-002")),
        "question.list": [QUESTION],
    }
    code, out, _ = run("status")
    assert code == 0
    assert "asks: Which form?" in out
    assert "1 question waits for you" in out
    assert "\x1b" not in out


def test_status_of_one_task_is_detailed(run: Any, daemon: Daemon) -> None:
    task = make_task(state="succeeded", run=f"{DAY}/task-001/2", attempts=2)
    logs = api.Logs(task=f"{DAY}/task-001", run=task.run or "", attempt=2, stdout="/o", stderr="/e", live=False)
    daemon.answers |= {"task.status": make_status(task), "task.logs": logs}
    code, out, _ = run("status", "task-001")
    assert code == 0
    assert "2026-11-22/task-001/2, 2 attempts" in out
    assert "/o" in out


def test_status_watch_follows_the_journal_until_it_is_interrupted(
    home: Path, daemon: Daemon, request: pytest.FixtureRequest
) -> None:
    states = iter(("queued", "running", "succeeded"))
    last = "queued"

    def status(_: Any) -> api.Status:
        nonlocal last
        last = next(states, last)
        return make_status(make_task(state=last), seq=0)

    daemon.answers |= {"task.status": status, "events.subscribe": api.Subscribed(seq=0)}
    daemon.facts = [fact(1)]
    watcher = subprocess.Popen(
        [sys.executable, "-m", "orchctl", "status", "--watch", "--json"],
        cwd=home,
        stdout=subprocess.PIPE,
        # A job that a shell put into the background ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert watcher.stdout is not None
    request.addfinalizer(watcher.kill)
    seen = [msgspec.json.decode(watcher.stdout.readline(), type=api.Status).tasks[0].state for _ in range(2)]
    watcher.send_signal(signal.SIGINT)
    watcher.communicate(timeout=60)
    assert (seen, watcher.returncode) == (["queued", "running"], 130)


def fact(seq: int, type: str = "task.succeeded", **event: Any) -> api.EventRecord:  # noqa: A002 - the field's name
    event = event or {"task": f"{DAY}/task-001"}
    return api.EventRecord(seq=seq, at="2026-11-22T08:00:00.000Z", type=type, event={"type": type, **event})


def test_submit_names_the_file_absolutely(run: Any, home: Path, daemon: Daemon) -> None:
    daemon.answers["task.submit"] = api.Submitted(day=DAY, accepted=["task-001"], limit_usd=5.0, notes=["look out"])
    code, out, _ = run("submit", "tasks/x.yaml", "--dry-run")
    assert code == 0
    (params,) = daemon.asked("task.submit")
    assert (params.path, params.text, params.dry_run) == (str(home / "tasks" / "x.yaml"), None, True)
    assert "task-001" in out
    assert "$5.00" in out
    assert "look out" in out


def test_submit_reads_standard_input(run: Any, daemon: Daemon, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("date: 2026-11-22\n"))
    daemon.answers["task.submit"] = api.Submitted(day=DAY)
    assert run("submit", "-")[0] == 0
    assert daemon.asked("task.submit")[0].text == "date: 2026-11-22\n"


@pytest.mark.parametrize(("end", "expected"), [("succeeded", 0), ("failed", 1), ("queued", 1)])
def test_submit_wait_follows_until_settled(run: Any, daemon: Daemon, end: str, expected: int) -> None:
    answers = iter(
        [
            make_status(make_task(state="running"), settled=False, seq=0),
            make_status(make_task(state=end), make_task("other", state="failed"), seq=2),
        ]
    )
    daemon.answers |= {
        "task.submit": api.Submitted(day=DAY, unchanged=["task-001"]),
        "task.status": lambda _: next(answers),
        "events.subscribe": api.Subscribed(seq=0),
    }
    daemon.facts = [fact(1), fact(2)]
    code, out, _ = run("submit", "x.yaml", "--wait")
    assert code == expected
    lines = [line.partition(" ")[2] for line in out.splitlines()]
    assert any(line.startswith("task-001 running") for line in lines)
    assert any(line.startswith(f"task-001 {end}") for line in lines)
    assert f"{1 - expected} of 1 task succeeded" in out


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (api.Waited(done=True, timed_out=False, states={"d/a": "succeeded"}), 0),
        (api.Waited(done=True, timed_out=False, states={"d/a": "succeeded", "d/b": "failed"}), 1),
        (api.Waited(done=True, timed_out=False, states={"d/a": "cancelled"}), 1),
        (api.Waited(done=False, timed_out=True, states={"d/a": "running"}), 1),
        (api.Waited(done=False, timed_out=False, states={"d/a": "queued"}), 1),
    ],
)
def test_wait_says_yes_only_when_all_succeeded(run: Any, daemon: Daemon, waited: api.Waited, expected: int) -> None:
    daemon.answers["task.wait"] = waited
    assert run("wait", "a", "--timeout", "1m30s", "--json")[0] == expected
    assert daemon.asked("task.wait") == [api.Wait(tasks=["a"], timeout=90.0)]


@pytest.mark.parametrize(("command", "method"), [("cancel", "task.cancel"), ("retry", "task.retry")])
def test_cancel_and_retry(run: Any, daemon: Daemon, command: str, method: str) -> None:
    daemon.answers[method] = api.Changed(changed=["d/a"], unchanged=["d/b"], notes=["b has ended"])
    code, out, _ = run(command, "a", "b")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["d/a", "d/b", "b"]
    assert run(command, "--all", "--day", DAY)[0] == 0
    one, everything = daemon.asked(method)
    assert (one.tasks, one.all) == (["a", "b"], False)
    assert (everything.tasks, everything.all, everything.day) == ([], True, DAY)
    assert one.request_id != everything.request_id


def test_the_account_is_tried_now(run: Any, daemon: Daemon) -> None:
    tried = api.AccountRetried(changed=True, cause="window", reason="weekly\nlimit", since="2026-11-22T09:00:00.000Z")
    daemon.answers["account.retry"] = tried
    code, out, _ = run("retry", "--account")
    assert (code, out) == (0, "Tried now: one agent first, then the others. What was the matter: weekly limit\n")
    daemon.answers["account.retry"] = msgspec.structs.replace(tried, changed=False)
    assert run("retry", "--account")[1].startswith("Being tried already: ")
    assert json.loads(run("retry", "--account", "--json")[1])["cause"] == "window"
    assert len({params.request_id for params in daemon.asked("account.retry")}) == 3


def test_questions_are_readable_and_say_how_to_answer(run: Any, daemon: Daemon) -> None:
    daemon.answers["question.list"] = [QUESTION]
    code, out, _ = run("questions", "--all")
    assert code == 0
    assert "A) Cents" in out
    assert "orchctl answer 2026-11-22/task-001 --option A|B" in out
    assert daemon.asked("question.list") == [api.QuestionList(all=True)]


@pytest.mark.parametrize(
    ("args", "text", "options"),
    [
        (("the second",), "the second", []),
        (("--option", "A", "-o", "B"), "", ["A", "B"]),
        (("-o", "A", "but quickly"), "but quickly", ["A"]),
        (("--file", "words.txt"), "from a file", []),
        (("-",), "from standard input", []),
    ],
)
def test_answers_come_as_text_options_file_or_input(
    run: Any, home: Path, daemon: Daemon, monkeypatch: Any, args: tuple[str, ...], text: str, options: list[str]
) -> None:
    (home / "words.txt").write_text("from a file\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input\n"))
    daemon.answers["question.answer"] = msgspec.structs.replace(QUESTION, state="answered", answer="x")
    code, out, _ = run("answer", "task-001", *args, "--question", "1")
    assert code == 0
    assert QUESTION.id in out
    (params,) = daemon.asked("question.answer")
    assert (params.text, params.options, params.question, params.by) == (text, options, "1", "cli")


def test_an_answer_that_came_too_late_tells_who_was_first(run: Any, daemon: Daemon) -> None:
    def late(_: Any) -> Any:
        raise Refusal(-32024, "it was answered before by telegram: B", exit_status=4, hint="")

    daemon.answers["question.answer"] = late
    code, _, err = run("answer", "task-001", "A")
    assert code == 4
    assert "by telegram: B" in err


def test_a_long_diff_comes_in_parts(run: Any, daemon: Daemon) -> None:
    parts = {0: ("one\n", 4), 4: ("två\n", 9), 9: ("three\n", None)}

    def diff(params: Any) -> api.Diff:
        text, following = parts[params.offset]
        return api.Diff(task="d/t", run="d/t/1", text=text, next_offset=following)

    daemon.answers["task.diff"] = diff
    assert run("diff", "t", "--attempt", "2")[:2] == (0, "one\ntvå\nthree\n")
    assert all(params.attempt == 2 and not params.color for params in daemon.asked("task.diff"))
    code, out, _ = run("diff", "t", "--json")
    assert code == 0
    assert msgspec.json.decode(out, type=api.Diff).text == "one\ntvå\nthree\n"


def test_an_empty_diff_is_no_failure(run: Any, daemon: Daemon) -> None:
    daemon.answers["task.diff"] = api.Diff(task="d/t", run="d/t/1", text="")
    assert run("diff", "t") == (0, "", "d/t/1: no changes.\n")


def test_apply_lists_what_came_over(run: Any, daemon: Daemon) -> None:
    daemon.answers["task.apply"] = api.Applied(tasks=["d/t"], created=["a"], modified=["b"], deleted=["c"])
    code, out, _ = run("apply", "t")
    assert code == 0
    assert out.splitlines()[:3] == ["A a", "M b", "D c"]


def test_conflicts_are_refused_and_named(run: Any, daemon: Daemon) -> None:
    conflict = api.Conflict(path="README.md", reason="changed in the same place")
    daemon.answers["task.apply"] = api.Applied(tasks=["d/t"], conflicts=[conflict])
    code, out, _ = run("apply", "t")
    assert code == 4
    assert "nothing was touched" in out
    assert "README.md  changed in the same place" in out
    assert run("apply", "t", "--json")[0] == 4


def test_logs_are_readable_or_raw(run: Any, home: Path, daemon: Daemon) -> None:
    said = {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "Hello \x1b[31mthere"}]}}
    stream = home / "stdout.jsonl"
    stream.write_text(json.dumps(said) + "\n")
    logs = api.Logs(task="d/t", run="d/t/1", attempt=1, stdout=str(stream), stderr="", live=False)
    daemon.answers["task.logs"] = logs
    assert run("logs", "t")[:2] == (0, "\nHello there\n")
    assert run("logs", "t", "--raw")[:2] == (0, stream.read_text())
    assert msgspec.json.decode(run("logs", "t", "--json")[1], type=api.Logs) == logs


def test_followed_logs_end_with_the_run(home: Path, daemon: Daemon) -> None:
    stream = home / "stdout.jsonl"
    stream.write_text("")
    daemon.answers["task.logs"] = api.Logs(task="d/t", run="d/t/1", attempt=1, stdout=str(stream), stderr="", live=True)
    follower = subprocess.Popen(
        [sys.executable, "-m", "orchctl", "logs", "t", "-f", "--raw"], cwd=home, stdout=subprocess.PIPE
    )
    assert follower.stdout is not None
    with stream.open("a") as file:
        file.write("one\n")
        file.flush()
        assert follower.stdout.readline() == b"one\n"
        file.write("two\n")
    (home / "exit.json").write_text("{}")
    rest, _ = follower.communicate(timeout=60)
    assert (rest, follower.returncode) == (b"two\n", 0)


def test_logs_of_a_run_that_wrote_nothing(run: Any, home: Path, daemon: Daemon) -> None:
    daemon.answers["task.logs"] = api.Logs(
        task="d/t", run="d/t/1", attempt=1, stdout=str(home / "none"), stderr="", live=False
    )
    code, _, err = run("logs", "t")
    assert code == 4
    assert "wrote nothing yet" in err


def test_a_report_is_clean_markdown_when_piped(run: Any, home: Path, daemon: Daemon) -> None:
    report = api.ReportFiles(day=DAY, markdown="# R\n\n| a |\n", data={}, path="/r.md", json_path="/r.json")
    daemon.answers["report.get"] = report
    (home / "day.yaml").write_text("date: 2026-11-22\ntasks: []\n")
    assert run("report") == (0, "# R\n\n| a |\n", "\n/r.md\n")
    assert run("report", DAY)[0] == 0
    assert run("report", "day.yaml")[0] == 0
    assert [query.day for query in daemon.asked("report.get")] == [None, DAY, DAY]
    assert run("report", "no.yaml")[0] == 5
    (home / "bad.yaml").write_text("tasks: []\n")
    assert run("report", "bad.yaml")[0] == 2


def test_events_are_read_page_by_page(run: Any, daemon: Daemon) -> None:
    facts = [fact(seq) for seq in range(1, 8)]

    def page(params: Any) -> api.Events:
        some = [one for one in facts if one.seq > params.since][: min(3, params.limit)]
        return api.Events(events=some, last=some[-1].seq if some else params.since)

    daemon.answers |= {"event.list": page, "task.status": make_status(seq=7)}

    def numbers(*args: str) -> list[int]:
        code, out, _ = run("events", "--json", *args)
        assert code == 0
        return [msgspec.json.decode(line, type=api.EventRecord).seq for line in out.splitlines()]

    assert numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert numbers("--limit", "2") == [6, 7]
    assert numbers("--since", "4") == [5, 6, 7]
    assert numbers("--since", "2", "--limit", "2") == [3, 4]
    assert numbers("--task", "task-001", "--limit", "1") == [7]


def test_a_page_that_is_too_long_is_asked_for_in_smaller_ones(run: Any, daemon: Daemon) -> None:
    def page(params: Any) -> api.Events:
        if params.limit > 60:
            raise Refusal(jsonrpc.INTERNAL_ERROR, "the reply is too long")
        return api.Events(events=[fact(1)] if params.since == 0 else [], last=1)

    daemon.answers["event.list"] = page
    code, out, _ = run("events", "--since", "0", "--json")
    assert (code, len(out.splitlines())) == (0, 1)


def test_followed_events_go_on_after_the_recorded_ones(run: Any, daemon: Daemon) -> None:
    recorded = [fact(1), fact(2)]
    daemon.answers |= {
        "event.list": lambda p: api.Events(events=[one for one in recorded if one.seq > p.since], last=2),
        "events.subscribe": api.Subscribed(seq=2),
        "task.status": make_status(make_task()),
    }
    daemon.facts = [fact(3), fact(4, "daemon.stopped", pid=1), fact(5, "run.exited", run=f"{DAY}/task-001/1")]
    code, out, _ = run("events", "-f", "--since", "0", "--limit", "4", "--json", "--task", "task-001")
    assert code == 0
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [1, 2, 3, 5]
    assert daemon.asked("events.subscribe") == [api.Subscribe(since=2)]


def test_inspect_needs_no_daemon_and_no_home(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = {"type": "result", "is_error": False, "terminal_reason": "completed", "session_id": "s", "num_turns": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(result) + "\n{broken\n")
    code, out, _ = run("inspect", "a.jsonl", "--json")
    one = json.loads(out)
    assert code == 0
    assert set(one) >= {
        "file", "session", "models", "events", "malformed", "unknown", "results", "is_error", "terminal_reason",
        "cost_usd", "tokens", "tool_calls", "permission_denials", "questions",
    }  # fmt: skip
    assert (one["file"], one["session"], one["results"], one["malformed"]) == ("a.jsonl", "s", 1, 1)
    assert json.loads(run("inspect", "a.jsonl", "a.jsonl", "--json")[1]) == [one, one]
    assert "1 malformed" in run("inspect", "a.jsonl")[1]
    assert run("inspect", "none.jsonl")[0] == 5


def test_the_schema_is_json_schema(run: Any) -> None:
    code, out, _ = run("schema", "tasks")
    assert code == 0
    assert "tasks" in json.loads(out)["properties"]


def test_doctor_asks_the_daemon_and_says_no_with_exit_1(run: Any, daemon: Daemon) -> None:
    check = api.DoctorCheck(name="agent", status="problem", detail="not logged in", hint="Log in.")
    daemon.answers["daemon.doctor"] = api.Doctor(ok=False, checks=[check])
    code, out, _ = run("doctor")
    assert code == 1
    assert "Log in." in out
    assert "1 problem." in out
    found = msgspec.json.decode(run("doctor", "--json")[1], type=api.Doctor)
    assert [one.name for one in found.checks] == ["agent", "daemon"]


def test_daemon_commands_when_one_is_running(run: Any, daemon: Daemon) -> None:
    code, out, _ = run("daemon", "start")
    assert code == 0
    assert "already running: process 4242" in out
    assert msgspec.json.decode(run("daemon", "status", "--json")[1], type=api.DaemonStatus) == DAEMON


def test_daemon_stop_when_none_is_running(run: Any, home: Path) -> None:
    assert run("daemon", "stop") == (0, "No daemon was running.\n", "")
    assert run("daemon", "stop", "--json")[:2] == (0, "null\n")


def test_output_that_nobody_reads_is_no_error(home: Path, daemon: Daemon) -> None:
    daemon.answers["task.status"] = make_status(*(make_task(f"task-{n}") for n in range(2000)))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "orchctl", "status"], cwd=home, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
