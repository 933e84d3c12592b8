"""
``orchctl policy``: verdicts without a daemon, for folders that need not exist.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from orchctl.__main__ import main


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: Any, capsys: Any):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")

    def run(*argv: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(list(argv))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_one_command(ask):
    assert ask("policy", "check", "git status")[:2] == (0, "allow\n")
    code, out, _ = ask("policy", "check", "cd src && git push")
    assert code == 1
    assert out.startswith("deny  git: `git push`")
    code, out, _ = ask("policy", "check", "git push", "--json")
    assert (code, {key: json.loads(out)[key] for key in ("command", "verdict", "rule")}) == (
        1,
        {"command": "git push", "verdict": "deny", "rule": "git"},
    )


def test_lines_are_answered_in_order(ask):
    lines = [{"command": "ls"}, {"command": "rm -rf src"}, {"command": "psql -c 'SELECT 1'"}]
    code, out, _ = ask("policy", "check", "--stdin", stdin="".join(json.dumps(line) + "\n" for line in lines))
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(answer["command"], answer["verdict"], answer["rule"]) for answer in answers] == [
        ("ls", "allow", "none"),
        ("rm -rf src", "deny", "delete"),
        ("psql -c 'SELECT 1'", "allow", "none"),
    ]


def test_any_tool_is_judged_and_a_line_that_cannot_be_read_is_told_in_its_place(ask, tmp_path):
    lines = [
        json.dumps({"tool": "Write", "input": {"file_path": f"{tmp_path}/a.py", "content": "x"}}),
        json.dumps({"tool": "Write", "input": {"file_path": "/etc/passwd", "content": "x"}}),
        "{",
        json.dumps({"tool": "Bash", "input": {"command": "git add ."}}),
        json.dumps({"tool": "Read"}),
        json.dumps({"say": "hello"}),
        "[" * 100_000,
        json.dumps({"command": "ls"}),
    ]
    for asked in ("-", "--stdin"):
        code, out, _ = ask("policy", "check", asked, stdin="\n".join(lines))
        answers = [json.loads(line) for line in out.splitlines()]
        assert code == 2
        assert [answer.get("verdict", "error") for answer in answers] == [
            "allow", "deny", "error", "deny", "error", "error", "error", "allow",
        ]  # fmt: skip
        assert (answers[1]["tool"], answers[1]["rule"]) == ("Write", "outside")
        assert answers[2]["error"].startswith("line 3 of standard input: ")


def test_a_corpus_of_nothing_is_none(ask, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    code, out, err = ask("policy", "test", "empty.jsonl")
    assert (code, out) == (2, "")
    assert "holds no command to judge" in err


def test_places_need_not_exist(ask):
    places = ("--project", "/home/dev/project", "--cwd", "/home/dev/project/src", "--scratch", "/srv/scratch")
    assert ask("policy", "check", "cat ../README.md", *places)[0] == 0
    assert ask("policy", "check", "cat ../../other/README.md", *places)[0] == 1
    assert ask("policy", "check", "rm -rf /srv/scratch/x", *places)[0] == 0
    assert ask("policy", "check", "rm -rf /srv/other", *places)[0] == 1


def test_files_of_the_project_are_followed(ask, tmp_path):
    (tmp_path / "ship.sh").write_text("#!/bin/sh\ngit push origin main\n")
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"ship": "git push", "test": "jest"}}))
    (tmp_path / "link").symlink_to("/etc")
    assert ask("policy", "check", "sh ship.sh")[0] == 1
    assert ask("policy", "check", "npm run ship")[0] == 1
    assert ask("policy", "check", "npm run test")[0] == 0
    assert ask("policy", "check", "cat link/passwd")[0] == 1
    # What is no plain file is not read, and not waited for.
    (tmp_path / "ship.sh").unlink()
    (tmp_path / "ship.sh").mkdir()
    assert ask("policy", "check", "sh ship.sh")[0] == 0


def test_what_is_wrong_is_said(ask):
    code, out, _ = ask("policy", "check", "--stdin", stdin='{"cmd": "ls"}\n')
    assert code == 2
    assert "line 1" in out
    assert ask("policy", "check")[0] == 2
    assert ask("policy", "check", "ls", "--stdin")[0] == 2
    assert ask("policy", "test", "nowhere.jsonl")[0] == 2


def test_rules_are_explained(ask):
    code, out, _ = ask("policy", "explain")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        "git",
        "db",
        "delete",
        "outside",
        "secret",
        "exec-unknown",
    ]
    assert ask("policy", "explain", "db")[1].startswith("db: Databases may not be changed")
    out = ask("policy", "explain", "git add . && cat /etc/passwd && rm x")[1]
    assert [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "git",
        "outside",
        "delete",
    ]


def test_a_corpus_is_tried(ask, tmp_path):
    rows = [
        {"command": "git status", "verdict": "allow", "rule": "none", "category": "safe"},
        {"command": "git push", "verdict": "deny", "rule": "git", "category": "bad"},
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = ask("policy", "test", str(path))
    assert code == 0
    assert "100.00 % of what is forbidden caught, 0.00 % of what is honest refused, 0 misses" in out
    rows.append({"command": "ls", "verdict": "deny", "rule": "delete", "category": "bad"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = ask("policy", "test", str(path), "--misses")
    assert code == 1
    assert "deny, judged allow (none): ls" in out
    found = json.loads(ask("policy", "test", str(path), "--json")[1])
    assert found["caught"] == pytest.approx(0.5)
    assert found["rules"]["delete"] == {"asked": 1, "caught": 0}
