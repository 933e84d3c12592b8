"""
Tools other than the shell, and the places an agent may write.
"""

import pytest

from orchestrd.policy.engine import judge, judge_command
from orchestrd.policy.shell import commands
from orchestrd.policy.verdict import ALLOW, Scope
from orchestrd.policy.words import Scanner, Unreadable

TREE = "/home/dev/project"
SCOPE = Scope(tree=TREE, scratch=("/tmp/agent", "/q/task-001.md"))


class TestScope:
    @pytest.mark.parametrize(
        ("path", "cwd", "fine"),
        [
            ("a", TREE, True), ("./a/../b", TREE, True), (TREE, "/", True), (f"{TREE}/a", "/", True), ("../project/a", TREE, True),
            ("../a", TREE, False), (f"{TREE}-2/a", "/", False), ("/", "/", False), ("a", "/", False), ("..", f"{TREE}/sub", True),
            (".git", TREE, False), (".git/hooks/x", TREE, False), ("sub/../.git/config", TREE, False), (".gitignore", TREE, True),
            (".github/x.yml", TREE, True), ("/tmp/agent", "/", True), ("/tmp/agent/x", "/", True), ("/tmp/agents/x", "/", False),
            ("/tmp/agent/../x", "/", False), ("/q/task-001.md", "/", True), ("/q/task-002.md", "/", False),
            ("/dev/null", "/", True), ("/dev/sda", "/", False), ("/dev/../dev/null", "/", True),
        ],
    )  # fmt: skip
    def test_where_it_may_write(self, path, cwd, fine):
        assert SCOPE.writable(path, cwd) is fine

    def test_a_tree_at_the_root_of_things(self):
        scope = Scope(tree="/")
        assert scope.writable("/etc/x", "/")
        assert not scope.writable("/.git/x", "/")


class TestWritingTools:
    @pytest.mark.parametrize("tool", ["Write", "Edit", "MultiEdit"])
    def test_inside_and_outside(self, tool):
        assert judge(tool, {"file_path": f"{TREE}/a.txt"}, SCOPE) == ALLOW
        assert judge(tool, {"file_path": "a.txt"}, SCOPE, f"{TREE}/sub") == ALLOW
        for path in ("/etc/x", f"{TREE}/../x", f"{TREE}/.git/config", "../../x"):
            verdict = judge(tool, {"file_path": path}, SCOPE, f"{TREE}/sub")
            assert (verdict.allowed, verdict.rule, verdict.target) == (False, "outside", path)

    def test_a_notebook(self):
        assert judge("NotebookEdit", {"notebook_path": f"{TREE}/a.ipynb"}, SCOPE) == ALLOW
        assert not judge("NotebookEdit", {"notebook_path": "/etc/a.ipynb"}, SCOPE).allowed

    @pytest.mark.parametrize("arguments", [{}, {"file_path": ""}, {"file_path": 5}, {"file_path": None}])
    def test_a_call_without_a_path_is_the_tools_to_refuse(self, arguments):
        assert judge("Write", arguments, SCOPE) == ALLOW


@pytest.mark.parametrize(
    "tool", ["Read", "Grep", "Glob", "WebFetch", "Agent", "TodoWrite", "mcp__op__ask", "NoSuchTool", ""]
)
def test_tools_that_change_nothing_here(tool):
    assert judge(tool, {"command": "git push", "file_path": "/etc/passwd"}, SCOPE) == ALLOW


@pytest.mark.parametrize("tool", ["EnterWorktree", "ExitWorktree"])
def test_an_agent_stays_where_it_was_put(tool):
    assert judge(tool, {}, SCOPE).rule == "git"


class TestShellTools:
    @pytest.mark.parametrize("tool", ["Bash", "Monitor"])
    def test_their_command_is_judged(self, tool):
        assert judge(tool, {"command": "git push"}, SCOPE).rule == "git"
        assert judge(tool, {"command": "git status"}, SCOPE) == ALLOW

    def test_it_is_judged_where_the_agent_stands(self):
        assert judge("Bash", {"command": "touch ../x"}, SCOPE, f"{TREE}/sub") == ALLOW
        assert judge("Bash", {"command": "touch ../x"}, SCOPE).rule == "outside"

    @pytest.mark.parametrize("command", [None, 5, [], {"a": 1}])
    def test_what_is_no_command(self, command):
        assert judge("Bash", {"command": command}, SCOPE) == ALLOW

    def test_a_long_command_is_cut_in_the_record(self):
        assert len(judge("Bash", {"command": f"git push {'x' * 5000}"}, SCOPE).target) == 200

    @pytest.mark.parametrize(
        "command", ["$(" * 50 + ")" * 50, "sh -c '" * 30, "eval " * 500 + "ls", "(" * 3000 + ")" * 3000, "`" * 999]
    )
    def test_what_is_too_deep_is_refused_or_read(self, command):
        assert judge_command(command, SCOPE, TREE).rule in ("none", "exec-unknown")

    def test_a_large_command_is_read_quickly(self):
        body = "x" * 200_000
        assert judge_command(f"cat > a.txt <<'EOF'\n{body}\nEOF\necho '{body}' \"{body}\" {body}", SCOPE, TREE) == ALLOW
        assert judge_command("echo a; " * 5000, SCOPE, TREE) == ALLOW


class TestScanner:
    def words(self, text: str) -> list[str]:
        return [token.text for token in Scanner(text).tokens]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", []), ("a  b\tc", ["a", "b", "c"]), ("a'b c'd", ["ab cd"]), ('"a\\"b" c', ['a"b', "c"]), ("a\\ b", ["a b"]),
            ("''", [""]), ('""', [""]), ("a;b&&c||d|e&f", ["a", ";", "b", "&&", "c", "||", "d", "|", "e", "&", "f"]),
            ("a>b", ["a", ">", "b"]), ("a 2>&1", ["a", ">&", "1"]), ("a 2>b", ["a", ">", "b"]), ("a2>b", ["a2", ">", "b"]),
            ("a &>>b", ["a", "&>>", "b"]), ("a#b #c", ["a#b"]), ("a #b\nc", ["a", ";", "c"]), ("$'a\\tb'", ["a\tb"]),
            ("$'\\x41\\101'", ["AA"]), ('$"a"', ["a"]), ("a\\\nb", ["ab"]), ("$((1+2))", ["$((1+2))"]), ("((i++)); a", [";", "a"]),
        ],
    )  # fmt: skip
    def test_words(self, text, words):
        assert self.words(text) == words

    @pytest.mark.parametrize(
        ("text", "inner"),
        [
            ("a $(b c) `d`", ["b c", "d"]), ('"$(b)"', ["b"]), ("'$(b)'", []), ("<(a) >(b)", ["a", "b"]),
            ("$(a $(b))", ["a $(b)"]), ("$(a ')' b)", ["a ')' b"]), ("$((1 + $(a)))", ["a"]), ("\\$(a)", None),
            ("cat <<E\n$(a)\n`b`\nE\n$(c)", ["a", "b", "c"]), ("cat <<'E'\n$(a)\nE", []), ("cat <<-E\n\t$(a)\n\tE\nb", ["a"]),
        ],
    )  # fmt: skip
    def test_substitutions(self, text, inner):
        if inner is not None:
            assert Scanner(text).inner == inner

    @pytest.mark.parametrize("text", ["'", '"', "a'b", "$(", "`", "$'", '"$(a"', "<(a"])
    def test_what_is_not_closed(self, text):
        with pytest.raises(Unreadable):
            Scanner(text)

    def test_several_documents_on_one_line(self):
        first, second = (t.body for t in Scanner("cat <<A; sh <<'B'\none\nA\ntwo\nB\n").tokens if t.body is not None)
        assert (first, second) == ("one", "two")

    def test_a_document_that_never_ends_goes_to_the_end(self):
        (body,) = (t.body for t in Scanner("cat <<A\none\ntwo").tokens if t.body is not None)
        assert body == "one\ntwo"


def test_commands_know_where_they_stand():
    found = {
        command.words[0]: command.moves for command in commands("cd a && x; (cd b; y); z; pushd c; w") if command.words
    }
    assert (found["x"], found["y"], found["z"], found["w"]) == (("a",), ("a", "b"), ("a",), ("a", "c"))
