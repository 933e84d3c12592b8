"""
Whatever an agent types: a verdict, never an exception; and what is forbidden stays so in any company.
"""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from orchestrd.policy.engine import judge, judge_command
from orchestrd.policy.scope import Scope
from orchestrd.policy.verdict import Verdict

SCOPE = Scope(tree="/home/dev/project", scratch=("/tmp/agent",))
PIECES = st.sampled_from(
    [
        "git", "push", "status", "rm", "-rf", "src", "cd", "..", "/tmp", "echo", "sh", "-c", "bash", "eval", "xargs", "env", "find",
        "-exec", "{}", "\\;", "+", "python", "psql", "npx", "docker", "run", "ssh", "timeout", "5", ";", "&&", "||", "|", "&", "(", ")",
        "{", "}", "$(", ")", "`", "'", '"', "\\", "\n", "<<EOF", "\nEOF\n", "<<<", "<", ">", ">>", "2>&1", "&>", "$X", "X=1", "${X}",
        "$'", "((", "))", "[[", "]]", "#", "case", "in", "esac", ";;", "for", "do", "done", "if", "then", "fi", "~", "*", "!", " ", "-S",
        "-e", "sed", "-i", "tar", "-C", "cp", "-t", "curl", "-o", "mv", "tee", "dd", "of=", "-", "--", "=", "\t", "\0", "é", "\ud800",
    ]
)  # fmt: skip
LINES = st.lists(PIECES, max_size=25).map("".join) | st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=60)
BENIGN = st.sampled_from(
    ["ls -la", "npm test", "echo hi", "cat a.txt | head", "X=1 true", "git status", "cd src && ls", "true"]
)
FORBIDDEN = st.sampled_from(
    [
        ("git push", "git"),
        ("alembic upgrade head", "db"),
        ("rm -rf /home/dev/project/src", "delete"),
        ("touch /etc/x", "outside"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(LINES)
def test_every_line_gets_a_verdict(line):
    verdict = judge_command(line, SCOPE, SCOPE.tree)
    assert isinstance(verdict, Verdict)
    assert verdict.allowed == (verdict.rule == "none")
    assert verdict.allowed or verdict.reason


@given(st.sampled_from(["Bash", "Write", "Edit", "NotebookEdit", "Read", "x"]), st.dictionaries(st.text(), JSON) | st.fixed_dictionaries(
    {}, optional={"command": JSON | LINES, "file_path": JSON, "notebook_path": JSON}
), st.none() | st.text())  # fmt: skip
def test_every_call_gets_a_verdict(tool, arguments, cwd):
    assert isinstance(judge(tool, arguments, SCOPE, cwd), Verdict)


@given(
    st.lists(BENIGN, max_size=4),
    FORBIDDEN,
    st.lists(BENIGN, max_size=4),
    st.sampled_from(["; ", " && ", " || ", "\n", " & "]),
)
def test_company_hides_nothing(before, forbidden, after, sign):
    command, rule = forbidden
    line = sign.join([*before, command, *after])
    assert judge_command(line, SCOPE, SCOPE.tree).rule == rule
    assert judge_command(sign.join([*before, *after]) or "true", SCOPE, SCOPE.tree).allowed


@given(
    FORBIDDEN,
    st.lists(
        st.sampled_from(["sh -c {}", "bash -lc {}", "eval {}", "env X=1 sh -c {}", 'echo "$( {} )"', "( {} )"]),
        max_size=4,
    ),
)
def test_wrapping_hides_nothing(forbidden, wraps):
    command, rule = forbidden
    for wrap in wraps:
        if wrap.startswith(("echo", "(")):
            command = wrap.format(command) if '"' not in command and "'" not in command else f"( {command} )"
        else:
            command = wrap.format(shlex.quote(command))
    verdict = judge_command(command, SCOPE, SCOPE.tree)
    assert verdict.rule in (rule, "exec-unknown")


@given(st.text(max_size=80))
def test_quoted_text_is_only_text(text):
    assert judge_command(f"echo {shlex.quote(text)}", SCOPE, SCOPE.tree).allowed
    assert judge_command(f"grep -rn {shlex.quote(text)} src", SCOPE, SCOPE.tree).allowed
