"""
Tools other than the shell, and the places an agent may write.
"""

from __future__ import annotations

import pytest

from orchestrd.policy.engine import judge, judge_command
from orchestrd.policy.scope import Place, Scope
from orchestrd.policy.verdict import ALLOW
from policyworld import TREE

SCOPE = Scope(tree=TREE, scratch=("/tmp/agent", "/q/task-001.md"))


@pytest.mark.parametrize(
    ("path", "cwd", "fine"),
    [
        ("a", TREE, True), ("./a/../b", TREE, True), (TREE, "/", True), (f"{TREE}/a", "/", True), ("../project/a", TREE, True),
        ("../a", TREE, False), (f"{TREE}-2/a", "/", False), ("/", "/", False), ("a", "/", False), ("..", f"{TREE}/sub", True),
        (".git", TREE, False), (".git/hooks/x", TREE, False), ("sub/../.git/config", TREE, False), (".gitignore", TREE, True),
        (".github/x.yml", TREE, True), ("/tmp/agent", "/", True), ("/tmp/agent/x", "/", True), ("/tmp/agents/x", "/", False),
        ("/tmp/agent/../x", "/", False), ("/q/task-001.md", "/", True), ("/q/task-002.md", "/", False),
        ("/dev/null", "/", True), ("/dev/sda", "/", False), ("/dev/../dev/null", "/", True),
        (".claude/settings.json", TREE, False), ("sub/.mcp.json", TREE, False), ("/usr/bin/git", "/", False),
    ],
)  # fmt: skip
def test_where_an_agent_may_write(path, cwd, fine):
    assert SCOPE.writable(path, cwd) is fine


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("src/*.py", Place.TREE), ("*", Place.TREE), (".*", Place.REPOSITORY), (".g*", Place.REPOSITORY), (".c*", Place.SETTINGS),
        ("/home/dev/*", Place.OUTSIDE), ("/tmp/agent/*", Place.SCRATCH), ("/etc/*", Place.OUTSIDE), ("/usr/bin/g*", Place.PROGRAMS),
        ("../*", Place.OUTSIDE), (".git/*", Place.REPOSITORY),
    ],
)  # fmt: skip
def test_a_pattern_is_the_most_guarded_place_that_it_may_match(path, place):
    assert SCOPE.place(path, TREE) is place


def test_a_tree_at_the_root_of_things():
    scope = Scope(tree="/")
    assert scope.writable("/etc/x", "/")
    assert not scope.writable("/.git/x", "/")


@pytest.mark.parametrize("tool", ["Write", "Edit", "MultiEdit"])
@pytest.mark.parametrize(
    ("path", "cwd", "rule"),
    [
        (f"{TREE}/a.txt", None, "none"), ("a.txt", f"{TREE}/sub", "none"), ("../a.txt", f"{TREE}/sub", "none"),
        ("/tmp/agent/a.txt", None, "none"), ("/q/task-001.md", None, "none"), (".gitignore", None, "none"),
        ("/etc/x", None, "outside"), (f"{TREE}/../x", None, "outside"), ("../../x", f"{TREE}/sub", "outside"),
        (f"{TREE}/.git/config", None, "git"), (".claude/settings.json", None, "exec-unknown"),
    ],
)  # fmt: skip
def test_tools_that_write(tool, path, cwd, rule):
    assert judge(tool, {"file_path": path}, SCOPE, cwd).rule == rule


def test_a_notebook():
    assert judge("NotebookEdit", {"notebook_path": f"{TREE}/a.ipynb"}, SCOPE) == ALLOW
    assert judge("NotebookEdit", {"notebook_path": "/etc/a.ipynb"}, SCOPE).rule == "outside"


@pytest.mark.parametrize("tool", ["Write", "Edit", "Read", "Grep"])
@pytest.mark.parametrize("arguments", [{}, {"file_path": ""}, {"file_path": 5, "path": 5}, {"file_path": None}])
def test_a_call_without_a_path_is_the_tools_to_refuse(tool, arguments):
    assert judge(tool, arguments, SCOPE) == ALLOW


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("Read", {"file_path": "src/a.py"}, "none"), ("Read", {"file_path": ".env"}, "secret"),
        ("Read", {"file_path": ".env.example"}, "none"), ("Read", {"file_path": "/etc/passwd"}, "outside"),
        ("Grep", {"pattern": "git push", "path": "src"}, "none"), ("Grep", {"pattern": "x", "path": ".."}, "outside"),
        ("Glob", {"pattern": "**/*.py"}, "none"), ("Glob", {"pattern": "/etc/*"}, "outside"),
        ("Edit", {"file_path": ".env", "old_string": "a"}, "secret"),
    ],
)  # fmt: skip
def test_tools_that_read(tool, arguments, rule):
    assert judge(tool, arguments, SCOPE).rule == rule


@pytest.mark.parametrize("tool", ["TodoWrite", "mcp__op__ask", "WebSearch", "Agent", "Task"])
def test_tools_that_change_nothing_here(tool):
    assert judge(tool, {"prompt": "git push", "text": "/etc/passwd"}, SCOPE) == ALLOW


@pytest.mark.parametrize("tool", ["EnterWorktree", "ExitWorktree"])
def test_an_agent_stays_where_it_was_put(tool):
    assert judge(tool, {}, SCOPE).rule == "git"


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("mcp__github__create_pull_request", {}, "git"), ("mcp__github__get_pull_request", {}, "none"),
        ("mcp__postgres__query", {"sql": "select 1"}, "none"), ("mcp__postgres__query", {"sql": "drop table t"}, "db"),
        ("mcp__shell__run", {"command": "git push"}, "git"), ("mcp__shell__run", {"command": "git status"}, "none"),
        ("mcp__files__read_file", {"path": "/etc/passwd"}, "outside"), ("mcp__files__write_file", {"path": "src/a"}, "none"),
        ("mcp__files__write_file", {"path": ".git/config"}, "git"),
        ("Agent", {"mode": "bypassPermissions"}, "exec-unknown"), ("CronCreate", {}, "exec-unknown"),
        ("ScheduleWakeup", {}, "exec-unknown"), ("Workflow", {"script": "x"}, "exec-unknown"),
        ("EnterWorktree", {"name": "x"}, "git"), ("RemoteTrigger", {}, "exec-unknown"),
    ],
)  # fmt: skip
def test_servers_and_agents(tool, arguments, rule):
    assert judge(tool, arguments, SCOPE).rule == rule


@pytest.mark.parametrize("tool", ["Bash", "Monitor"])
def test_a_command_is_judged(tool):
    assert judge(tool, {"command": "git push"}, SCOPE).rule == "git"
    assert judge(tool, {"command": "git status"}, SCOPE) == ALLOW


def test_it_is_judged_where_the_agent_stands():
    assert judge("Bash", {"command": "touch ../x"}, SCOPE, f"{TREE}/sub") == ALLOW
    assert judge("Bash", {"command": "touch ../x"}, SCOPE).rule == "outside"


@pytest.mark.parametrize("command", [None, 5, [], {"a": 1}])
def test_what_is_no_command(command):
    assert judge("Bash", {"command": command}, SCOPE) == ALLOW


def test_a_long_command_is_cut_in_the_record():
    assert len(judge("Bash", {"command": f"git push {'x' * 5000}"}, SCOPE).target) == 200


def test_a_command_that_is_too_long_is_refused_unread():
    assert judge_command("ls " + "x" * 500_000, SCOPE, TREE).rule == "exec-unknown"


@pytest.mark.parametrize(
    "command", ["$(" * 50 + ")" * 50, "sh -c '" * 30, "eval " * 500 + "ls", "(" * 3000 + ")" * 3000, "`" * 999]
)
def test_what_is_too_deep_is_refused_or_read(command):
    assert judge_command(command, SCOPE, TREE).rule in {"none", "exec-unknown"}


def test_a_large_document_is_only_text():
    body = "x" * 60_000
    assert judge_command(f"cat > a.txt <<'EOF'\n{body}\nEOF\necho '{body}'", SCOPE, TREE) == ALLOW


@pytest.mark.parametrize("tool", ["NoSuchTool", "", "PowerShell", "REPL", "todowrite"])
def test_a_tool_that_nobody_knows_is_refused(tool):
    found = judge(tool, {"command": "ls"}, SCOPE)
    assert (found.rule, found.fixed) == ("exec-unknown", False)


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("mcp__files__delete_file", {"path": "src/app.py"}, "delete"),
        ("mcp__files__delete_file", {"path": "/tmp/agent/x"}, "none"),
        ("mcp__files__remove", {"items": [{"path": "src/app.py"}]}, "delete"),
        ("mcp__files__move_file", {"source": "src/app.py", "destination": "/tmp/x"}, "outside"),
        ("mcp__files__move_file", {"source": "src/app.py", "destination": "src/main.py"}, "none"),
        ("mcp__files__read_many", {"files": [{"path": "a"}, {"path": ".env"}]}, "secret"),
        ("mcp__sh__run", {"command": "git", "args": ["push"]}, "git"),
        ("mcp__sh__run", {"steps": [{"program": "rm", "arguments": ["README.md"]}]}, "delete"),
        ("mcp__sh__run", {"command": "ls", "args": ["-l"]}, "none"),
        ("mcp__sh__run", {"command_line": "git push"}, "git"),
        ("mcp__tmux__send", {"keys": "git push"}, "git"),
        ("mcp__jupyter__execute", {"code": "import os; os.remove('README.md')"}, "delete"),
        ("mcp__jupyter__execute", {"cell": "print(1)"}, "none"),
        ("mcp__browser__evaluate", {"code": "require('fs').unlinkSync('README.md')"}, "delete"),
        ("mcp__x__eval", {"python": "import os; os.system('git push')"}, "git"),
        ("mcp__postgres__query", {"q": "drop table users"}, "db"),
        ("mcp__postgres__query", {"q": "select 1"}, "none"),
        ("Grep", {"pattern": "x", "glob": "{.env,*.py}"}, "secret"),
        ("Grep", {"pattern": "x", "glob": "{a,b}.py"}, "none"),
        ("Glob", {"pattern": "src/../../*"}, "outside"),
        ("Glob", {"pattern": "{src,/etc}/*"}, "outside"),
        ("WebFetch", {"url": "http://2852039166/latest/meta-data"}, "secret"),
        ("WebFetch", {"url": "http://0xA9FEA9FE/latest"}, "secret"),
        ("WebFetch", {"url": "http://0251.0376.0251.0376:80/"}, "secret"),
        ("WebFetch", {"url": "http://169.254.43518/"}, "secret"),
        ("WebFetch", {"url": "http://127.1:8000/"}, "none"),
        ("WebFetch", {"url": "https://example.org/"}, "none"),
    ],
)
def test_what_stands_deeper_in_the_arguments(tool, arguments, rule):
    assert judge(tool, arguments, SCOPE).rule == rule
