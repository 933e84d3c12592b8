"""
What a person changes about the rules: read from ``config/policy.yaml``, and what it opens and does not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrd.config import default_text
from orchestrd.errors import ConfigError
from orchestrd.policy import acts
from orchestrd.policy.engine import judge, judge_command, lets_pass
from orchestrd.policy.scope import Scope
from orchestrd.policy.verdict import Verdict
from orchestrd.rulebook import Rulebook, load_rulebook

TREE = "/w/project"
TASK = "2026-11-22/task-001"


def book(home: Path, text: str) -> Rulebook:
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "policy.yaml").write_text(text, encoding="utf-8")
    return load_rulebook(home)


def scope(given: Rulebook, task: str = TASK) -> Scope:
    return Scope(
        tree=TREE,
        scratch=("/w/scratch",),
        guarded=("/home/me/orch/var", "/w"),
        readable=given.readable,
        lent=given.writable,
        amendments=given.of(task),
    )


@pytest.fixture
def say(tmp_path):
    def said(rules: str, command: str, task: str = TASK) -> Verdict:
        return judge_command(command, scope(book(tmp_path, rules), task), TREE)

    return said


class TestLines:
    @pytest.mark.parametrize(
        ("command", "decision"),
        [
            ("git tag v1", "ask"),
            ("/usr/bin/git tag v1", "ask"),
            ("cd src && git tag v1; ls", "ask"),
            ("sh -c 'git tag v1'", "ask"),
            ("git tag v1 && git push", "deny"),
            ("git push", "deny"),
            ("rm README.md", "allow"),
            ("rm README.md LICENSE", "deny"),
            ("rm LICENSE", "deny"),
            ("./rm README.md > ../x", "deny"),
            ("touch never", "deny"),
            ("env touch never", "deny"),
        ],
    )
    def test_the_first_that_fits_decides_about_its_own_program(self, say, command, decision):
        rules = "rules: [{ask: git tag *}, {allow: rm README.md}, {deny: touch never}, {allow: touch never}]"
        assert say(rules, command).decision == decision

    def test_a_denial_halts_only_under_a_rule_that_it_names(self, say):
        assert say("rules: [{deny: touch x}]", "touch x").rule == "exec-unknown"
        named = say("rules: [{deny: touch x, rule: outside, reason: It is not ours.}]", "touch x")
        assert (named.rule, named.reason) == ("outside", "It is not ours.")

    def test_a_tasks_own_come_before_the_others(self, say):
        rules = "rules: [{deny: touch x}]\ntasks: {'lucky-*': [{allow: touch x}]}"
        assert say(rules, "touch x").decision == "deny"
        assert say(rules, "touch x", "2026-11-22/lucky-1").decision == "allow"

    def test_what_is_allowed_is_what_it_runs_too_but_for_what_is_denied_there(self, say):
        rules = "rules: [{deny: touch x}, {allow: sh -c *}]"
        assert say(rules, "sh -c 'git add -A'").decision == "allow"
        assert say(rules, "sh -c 'git add -A; touch x'").decision == "deny"

    @pytest.mark.parametrize(
        "command",
        [
            "GIT_SSH_COMMAND=./x git push",
            "LD_PRELOAD=./x.so git push",
            "git push > /etc/passwd",
            "git push $X",
            "/tmp/git push",
        ],
    )
    def test_what_is_allowed_is_only_what_is_written(self, say, command):
        assert say("rules: [{allow: git push *}]", "git push").decision == "allow"
        assert say("rules: [{allow: git push *}]", command).decision == "deny"

    @pytest.mark.parametrize(
        ("command", "pattern"),
        [
            ("rm -rf .git", "rm *"),
            ("rm .claude/settings.json", "rm *"),
            ("cp x .git/hooks/pre-commit", "cp *"),
            ("mv .claude/settings.json x", "mv *"),
            ("tee .mcp.json", "tee *"),
            ("cat /home/me/orch/var/orchestrd.db", "cat *"),
            ("rm /home/me/orch/var/lock", "rm *"),
            ("pkill orchestrd", "pkill *"),
            ("kill -9 $PPID", "kill *"),
            ("kill -9 -1", "kill *"),
            ("orchctl cancel --all", "orchctl *"),
            ("claude -p x", "claude *"),
            ("sh -c 'orchctl answer x yes'", "sh *"),
        ],
    )
    @pytest.mark.parametrize("decision", ["allow", "ask"])
    def test_nothing_opens_what_runs_the_agents(self, say, command, pattern, decision):
        verdict = say(f"rules: [{{{decision}: '{pattern}'}}]", command)
        assert (verdict.decision, verdict.fixed or "PPID" in command) == ("deny", True), verdict

    def test_other_tools(self, tmp_path):
        given = book(
            tmp_path,
            "rules: [{ask: 'Write(docs/legal/**)'}, {deny: 'WebFetch(domain:example.com)', rule: outside}, {deny: mcp__tracker__*},"
            " {allow: 'Write(/etc/motd)'}, {allow: 'Write(**)'}]",
        )
        where = scope(given)

        def decided(tool: str, **arguments: str) -> str:
            return judge(tool, arguments, where, TREE).decision

        assert decided("Write", file_path=f"{TREE}/docs/legal/terms.md", content="") == "ask"
        assert decided("Write", file_path="docs/legal/terms.md", content="") == "ask"
        assert decided("WebFetch", url="https://www.example.com/x", prompt="p") == "deny"
        assert decided("WebFetch", url="https://example.org/x", prompt="p") == "allow"
        assert decided("mcp__tracker__close", id="1") == "deny"
        assert decided("Write", file_path="/etc/motd", content="") == "allow"
        assert decided("Write", file_path=f"{TREE}/.claude/settings.json", content="") == "deny"
        assert decided("Write", file_path="/home/me/orch/var/x", content="") == "deny"


class TestFolders:
    def test_what_may_be_read_and_what_may_be_written(self, tmp_path):
        given = book(tmp_path, "readable: [/srv/data]\nwritable: [/srv/out]")
        where = scope(given)

        def decided(command: str) -> str:
            return judge_command(command, where, TREE).decision

        assert decided("cat /srv/data/a") == "allow"
        assert decided("touch /srv/data/a") == "deny"
        assert decided("touch /srv/out/a && rm -r /srv/out/a") == "allow"
        assert decided("touch /srv/out/.git/config") == "deny"
        assert decided("cat /srv/other") == "deny"

    @pytest.mark.parametrize("kind", ["readable", "writable"])
    @pytest.mark.parametrize(
        "folder", ["/", "{home}/var", "{home}/var/agent_logs", "{home}/config", "relative", "{home}/x/../var"]
    )
    def test_what_nobody_is_lent(self, tmp_path, kind, folder):
        folder = folder.format(home=tmp_path)
        with pytest.raises(ConfigError, match=rf"policy.yaml:2: {kind}: "):
            book(tmp_path, f"{kind}:\n  - {folder}\n")

    def test_a_folder_that_holds_the_home_may_be_read_only(self, tmp_path):
        home = tmp_path / "home"
        home.mkdir()
        assert book(home, f"readable: [{tmp_path}]").readable == (str(tmp_path),)
        with pytest.raises(ConfigError, match="name folders beside it"):
            book(home, f"writable: [{tmp_path}]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", ":1: expected `rules:`"),
        ("rules:\n  - allow: ls\nrulez: []", ":3: rulez: unknown setting"),
        ("rules: ls", ":1: rules: expected a list"),
        ("rules:\n  - ls", ":2: rules: expected `allow:`"),
        ("rules:\n  - allow: ls\n    ask: ls", ":2: rules: exactly one of"),
        ("rules:\n  - reason: x", ":2: rules: exactly one of"),
        ("rules:\n  - allow: ls\n  - forbid: ls", ":3: forbid: unknown setting"),
        ("rules:\n  - deny: ls\n    rule: gti", ":3: rule: 'gti' is no rule"),
        ("rules:\n  - allow: 'ls \"x'", ":2: allow: "),
        ("rules:\n  - allow: '*'", "is allowed begins with a program"),
        ("rules:\n  - allow: ''", ":2: allow: expected a command line"),
        ("tasks: [x]", ":1: tasks: expected a task's id"),
        ("tasks:\n  x:\n    - nothing", ":3: tasks.x: expected `allow:`"),
        ("rules: []\nrules: []", ":2: rules: it is there already"),
        ("a: [", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, words):
    with pytest.raises(ConfigError) as told:
        book(tmp_path, text)
    assert str(tmp_path / "config" / "policy.yaml") in told.value.message
    assert words in told.value.message


def test_the_packaged_file_says_nothing_and_its_example_can_be_read(tmp_path):
    text = default_text("policy.yaml")
    assert book(tmp_path, text) == Rulebook()
    lines = text.splitlines()
    start = lines.index("# rules:")
    given = book(tmp_path, "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[start:]))
    assert len(given.rules) == 3
    assert [pattern for pattern, _ in given.tasks] == ["release-*"]


def test_no_file_is_nothing_said(tmp_path):
    assert load_rulebook(tmp_path) == Rulebook()


class TestMarks:
    def test_the_same_act(self):
        def mark(tool: str, cwd: str | None = None, tree: str = TREE, **arguments: object) -> str:
            return acts.mark(tool, arguments, tree, cwd)

        plain = mark("Bash", command="rm x", description="a")
        assert plain == mark("Bash", TREE, command="rm x", description="b", timeout=5)
        assert plain == mark("Bash", "/w/other", "/w/other", command="rm x")
        assert plain != mark("Bash", f"{TREE}/src", command="rm x")
        assert plain != mark("Bash", command="rm  x")
        assert plain != mark("Monitor", command="rm x")
        written = mark("Write", file_path=f"{TREE}/a", content="1")
        assert written == mark("Write", file_path="a", content="2") == mark("Write", f"{TREE}/src", file_path="../a")
        assert written != mark("Edit", file_path="a")
        assert mark("WebFetch", url="u", prompt="1") == mark("WebFetch", url="u", prompt="2")
        assert mark("mcp__a__b", x=1) != mark("mcp__a__b", x=2)
        assert mark("mcp__a__b", x=1, y="\ud800") == mark("mcp__a__b", y="\ud800", x=1)


@pytest.mark.parametrize(
    ("command", "passes"),
    [
        ("npm run clean", True),
        ("cd sub && npm run clean", True),
        ("if true; then npm run clean; fi | tail", True),
        ("sh -c 'npm run clean'", True),
        ("npm run cleaner", False),
        ("echo npm run clean", False),
        ("git push --tags", False),
    ],
)
def test_a_line_that_lets_a_part_of_a_command_line_pass(tmp_path, command, passes):
    rules = "rules:\n  - allow: npm run clean\n  - deny: git push *\n"
    assert lets_pass(command, scope(book(tmp_path, rules)), TREE) is passes
