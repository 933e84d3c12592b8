"""
An ordinary day, from the task file to the report: what people and scripts see of it.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.files import wait_file
from kit.script import DAY, bash, call, gate, say, scenario, task, use, write
from kit.world import World

pytestmark = pytest.mark.timeout(180)

SUMMARY = "# Summary\n\nWrote the guide | with a bar.\n"
SCENARIOS = [
    scenario(
        "task-001",
        call(use("Read", file_path="{tree}/README.md"), use("Bash", command="ls src", description="look")),
        write("docs/GUIDE.md", "# Guide\n\nText.\n", usage={"input": 1200, "output": 80, "cache_read": 500}),
        call(use("Write", file_path="{workspace}/summary.md", content=SUMMARY), usage={"cache_write": 300}),
        say("The guide is written."),
    ),
    scenario("task-002", gate("middle"), bash("cat docs/GUIDE.md"), say("Nothing to write.")),
]
TASKS = [
    task(
        "task-001",
        module="docs",
        estimated_complexity="low",
        context_files=["README.md"],
        deliverables=["docs/GUIDE.md", "docs/OTHER.md", "README.md", "Tests for the guide"],
    ),
    task("task-002", module="core", depends_on=["task-001"]),
]


@pytest.fixture(scope="module")
def day() -> Iterator[World]:
    with World(SCENARIOS) as world:
        world.submit(*TASKS, max_cost_usd=5.0, priority="high")
        at_work = world.gate.arrive("middle")
        middle = world.orchctl("status", "--json").json
        at_work.release()
        assert world.wait() == {"task-001": "succeeded", "task-002": "succeeded"}
        first, second = middle["tasks"]
        assert first["state"] == "succeeded"
        assert (second["state"], second["outcome"], second["run"]) == ("running", None, f"{DAY}/task-002/1")
        assert second["activity"].startswith("Bash")
        assert not middle["settled"]
        assert middle["daemon"]["agents"] == 1
        yield world


def test_status_has_the_shape_of_the_contract(day):
    done = day.orchctl("status", "--json")
    found = done.json
    assert done.code == 0
    assert found["day"] == DAY
    assert set(found["cost"]) >= {"spent_usd", "reserved_usd", "limit_usd", "fraction"}
    assert found["cost"]["limit_usd"] == 5.0
    assert set(found["daemon"]) >= {"pid", "started_at", "version"}
    assert found["daemon"]["pid"] == day.daemon.pid
    first, second = found["tasks"]
    wanted = "id day name state outcome run attempts cost_usd tokens tool_calls started_at ended_at question why"
    assert set(first) >= {*wanted.split(), "deliverables", "checks", "violations"}
    assert set(first["tokens"]) == {"input", "output", "cache_read", "cache_write"}
    assert (first["id"], first["day"], first["name"]) == ("task-001", DAY, "Name of task-001")
    assert (first["state"], first["outcome"], first["attempts"]) == ("succeeded", "succeeded", 1)
    assert first["tool_calls"] == 4
    assert first["tokens"] == {"input": 4200, "output": 380, "cache_read": 500, "cache_write": 300}
    assert first["cost_usd"] == pytest.approx(day.truth("task-001") / 1e9, abs=1e-9)
    assert first["started_at"] < first["ended_at"] <= second["started_at"]
    assert first["started_at"].endswith("Z")
    assert [(d["path"], d["status"]) for d in first["deliverables"]] == [
        ("docs/GUIDE.md", "found"),
        ("docs/OTHER.md", "missing"),
        ("README.md", "unchanged"),
        (None, "unverified"),
    ]
    assert [d["text"] for d in first["deliverables"]] == TASKS[0]["deliverables"]
    one = day.orchctl("status", "task-002", "--json").json
    assert one["tasks"] == [second]


def test_status_for_people(day):
    text = day.orchctl("status").out
    for word in ("task-001", "task-002", "succeeded", "Name of task-001"):
        assert word in text
    one = day.orchctl("status", "task-001").out
    assert "docs/OTHER.md" in one
    assert "missing" in one


def test_status_file(day):
    path = day.home / "var" / "agent_status" / DAY / "task-002.json"
    found = wait_file(path, lambda data: data and (d := json.loads(data))["state"] == "succeeded" and d)
    assert found == day.orchctl("status", "task-002", "--json").json["tasks"][0]


def test_everything_under_var_is_private(day):
    for path in [day.home / "var", *(day.home / "var").rglob("*")]:
        if "tree" in path.parts or "work.git" in path.parts or path.is_symlink():
            continue
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(day.socket.stat().st_mode) == 0o600


def test_the_agent_was_told_everything(day):
    text = (day.workspace("task-001") / "agent_instructions.md").read_text()
    for part in ("Do task-001.", "docs/GUIDE.md", "Tests for the guide", "README.md", "# Example", "summary.md"):
        assert part in text
    second = (day.workspace("task-002") / "agent_instructions.md").read_text()
    assert "task-001" in second
    assert "Wrote the guide" in second


def test_the_tree_of_a_dependent_task_holds_the_work_it_builds_on(day):
    assert (day.workspace("task-002") / "tree" / "docs" / "GUIDE.md").read_text() == "# Guide\n\nText.\n"
    logs = day.orchctl("logs", "task-002")
    assert logs.code == 0
    assert "# Guide" in logs.out


def test_logs(day):
    text = day.orchctl("logs", "task-001").out
    assert "The guide is written." in text
    assert "Write" in text
    raw = day.orchctl("logs", "task-001", "--raw").out
    lines = [json.loads(line) for line in raw.splitlines()]
    assert lines[-1]["type"] in {"result", "system", "control_response"}
    assert sum(line["type"] == "result" for line in lines) == 1
    assert raw == (day.run_dir("task-001/1") / "stdout.jsonl").read_text()


def test_events_for_programs(day):
    done = day.orchctl("events", "--json", "--since", "0")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [e["seq"] for e in found] == list(range(1, len(found) + 1))
    assert [(e["seq"], e["type"]) for e in found] == [(e["seq"], e["type"]) for e in day.events()]
    kinds = [e["type"] for e in found if e["event"].get("run") == f"{DAY}/task-001/1"]
    order = ["run.started", "run.prepared", "run.initialised", "run.tool_called", "run.turn_ended", "run.exited"]
    assert [k for k in dict.fromkeys(kinds) if k in order] == order


def test_report(day):
    done = day.orchctl("report", "--json")
    report = done.json
    assert Path(report["path"]) == day.home / "var" / "results" / f"{DAY}-report.md"
    text = Path(report["path"]).read_text()
    assert text == report["markdown"]
    spent = day.truth() / 1e9
    for part in (
        f"# Report for {DAY}",
        "2 succeeded, 0 failed",
        f"${spent:.4f} of $5.00",
        "docs/OTHER.md: **missing**",
        "docs/GUIDE.md: found",
        "Tests for the guide: unverified",
        "created: `docs/GUIDE.md` (+3 −0)",
        "Wrote the guide",
        "rests on the agent's word",
        "None was tried.",
        "says it is done, but is missing docs/OTHER.md",
    ):
        assert part in text, part
    data = json.loads(Path(report["json_path"]).read_text())
    assert data == report["data"]
    assert data["spent_usd"] == pytest.approx(spent, abs=1e-9)
    assert sum(data["by_module"].values()) == pytest.approx(spent, abs=1e-9)
    assert set(data["by_module"]) == {"docs", "core"}


def test_a_report_made_again_is_the_same(day):
    files = [day.home / "var" / "results" / f"{DAY}-report.{suffix}" for suffix in ("md", "json")]
    assert day.orchctl("report").code == 0
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    assert day.orchctl("report", DAY).code == 0
    assert [path.read_bytes() for path in files] == before


def test_the_report_is_written_by_itself_when_the_day_is_over(day):
    path = day.home / "var" / "results" / f"{DAY}-report.md"
    assert "2 succeeded" in wait_file(path, lambda data: b"2 succeeded" in data and data).decode()


def test_submitting_the_same_file_again_changes_nothing(day):
    before = day.events()
    done = day.orchctl("submit", str(day.home / "tasks" / f"{DAY}.yaml"), "--json")
    assert done.code == 0
    assert done.json["accepted"] == []
    assert done.json["unchanged"] == ["task-001", "task-002"]
    assert day.events() == before


def test_wait_on_a_day_that_is_over(day):
    done = day.orchctl("wait", "--json", "--timeout", "30s")
    assert (done.code, done.json["done"]) == (0, True)


def test_the_project_was_not_touched(day):
    assert day.git("status", "--porcelain", "--untracked-files=all") == ""
    assert day.git("stash", "list") == ""
    assert day.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert day.git("for-each-ref").count("\n") == 1
