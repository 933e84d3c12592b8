"""
Scripts on disk: whose they are, what is forgiven in them, and that what a person allowed holds for them as they were.
"""

from __future__ import annotations

import os

import pytest
from msgspec.structs import replace

from orchestrd.policy import acts
from orchestrd.policy.engine import judge_command
from orchestrd.policy.scope import NoFiles
from orchestrd.treefiles import TreeFiles
from policyworld import SCOPE, TREE

CONTAINED = replace(SCOPE, contained=True)


class Disk(NoFiles):
    """
    Files by their paths in the tree; those in *settled* are as they were before the agent came.
    """

    def __init__(self, files: dict[str, str], *settled: str) -> None:
        self._files = {f"{TREE}/{path}": text for path, text in files.items()}
        self._settled = {f"{TREE}/{path}" for path in settled}

    def read(self, path: str) -> str | None:
        return self._files.get(path)

    def settled(self, path: str) -> bool:
        return path in self._settled

    def exists(self, path: str) -> bool:
        return path in self._files


def verdict(command: str, disk: Disk, scope=CONTAINED):
    return judge_command(command, scope, TREE, disk)


def through(line: str) -> list[tuple[str, dict[str, str]]]:
    """
    Ways to run *line* by a file, each as a command line and the files that it needs.
    """
    return [
        ("sh s.sh", {"s.sh": line}),
        ("./s.sh", {"s.sh": f"#!/bin/bash\n{line}\n"}),
        ("make x", {"Makefile": f"x:\n\t{line}\n"}),
        ("npm run x", {"package.json": f'{{"scripts": {{"x": "{line}"}}}}'}),
        ("just x", {"justfile": f"x:\n    {line}\n"}),
        ("task x", {"Taskfile.yml": f"tasks:\n  x:\n    cmds:\n      - {line}\n"}),
        ("python s.py", {"s.py": f"import os\nos.system('{line}')\n"}),
    ]


WAYS = ["sh", "./", "make", "npm", "just", "task", "python"]


@pytest.mark.parametrize("way", range(len(WAYS)), ids=WAYS)
@pytest.mark.parametrize(
    ("line", "rule"),
    [("cat .env", "secret"), ("git push", "git"), ("rm README.md", "delete"), ("touch /opt/x", "outside")],
)
def test_what_an_agent_wrote_before_is_judged(line, rule, way):
    command, files = through(line)[way]
    assert verdict(command, Disk(files)).rule == rule


@pytest.mark.parametrize("way", range(len(WAYS)), ids=WAYS)
def test_what_the_project_had_may_use_its_secrets(way):
    command, files = through("cat .env")[way]
    assert verdict(command, Disk(files, *files)).allowed
    assert verdict(command, Disk(files, *files), SCOPE).allowed


@pytest.mark.parametrize("way", range(len(WAYS)), ids=WAYS)
def test_not_the_secrets_of_others(way):
    command, files = through("cat ~/.ssh/id_rsa")[way]
    assert verdict(command, Disk(files, *files)).rule == "outside"


@pytest.mark.parametrize("way", range(len(WAYS)), ids=WAYS)
@pytest.mark.parametrize("author", ["project", "agent"])
def test_no_script_changes_what_protects_this_program(way, author):
    command, files = through("echo 1 > .claude/settings.json")[way]
    found = verdict(command, Disk(files, *(files if author == "project" else ())))
    assert not found.allowed
    assert found.fixed


def test_what_cannot_be_read_is_left_to_the_sandbox_where_there_is_one():
    files = {"s.sh": 'eval "$(generate)"\n'}
    assert verdict("sh s.sh", Disk(files)).allowed
    assert verdict("sh s.sh", Disk(files), SCOPE).rule == "exec-unknown"
    assert verdict("sh s.sh", Disk(files, "s.sh"), SCOPE).allowed
    assert verdict("echo 'eval \"$(generate)\"' > s.sh; sh s.sh", Disk({})).rule == "exec-unknown"


@pytest.mark.parametrize(
    ("line", "changed", "free"),
    [("rm -rf dist", "none", "none"), ("rm -f $(OBJECTS)", "none", "exec-unknown"), ("rm -rf src", "delete", "delete")],
)
def test_a_changed_makefile_still_cleans_up(line, changed, free):
    files = {"Makefile": f"clean:\n\t{line}\n"}
    assert verdict("make clean", Disk(files)).rule == changed
    assert verdict("make clean", Disk(files), SCOPE).rule == free


def test_a_script_of_the_agents_in_one_of_the_projects_is_the_agents():
    files = {"Makefile": "x:\n\tsh s.sh\n", "s.sh": "cat .env\n"}
    assert verdict("make x", Disk(files, "Makefile")).rule == "secret"
    assert verdict("make x", Disk(files, "Makefile", "s.sh")).allowed


def test_sources_that_run_by_themselves_are_read_where_no_sandbox_is():
    files = {"conftest.py": "import os\nos.system('git push')\n"}
    assert verdict("pytest", Disk(files), SCOPE).rule == "git"
    assert verdict("pytest", Disk(files)).allowed
    assert verdict("pytest", Disk(files, "conftest.py"), SCOPE).allowed


def test_what_a_person_allowed_holds_for_the_script_as_it_was():
    def mark(text: str, other: str = "", command: str = "sh s.sh") -> str:
        found = verdict(command, Disk({"s.sh": text, "other.sh": other}))
        return acts.mark("Bash", {"command": command}, TREE, None, followed=found.followed)

    assert mark("git tag v1\n") == mark("git tag v1\n", "ls\n")
    assert mark(". ./other.sh; git tag v1\n", "V=1\n") != mark(". ./other.sh; git tag v1\n", "git push\n")
    assert mark("git tag v1\n") != mark("git tag v1; git push\n")
    assert mark("sh other.sh", "git tag v1\n") != mark("sh other.sh", "git push\n")
    assert mark("", command="git tag v1") == acts.mark("Bash", {"command": "git tag v1"}, TREE, None)


@pytest.mark.parametrize(
    ("command", "path", "before", "after"),
    [
        ("psql < m.sql", "m.sql", "DELETE FROM a WHERE id=1;\n", "DROP TABLE users;\n"),
        ("psql -f m.sql", "m.sql", "DELETE FROM a WHERE id=1;\n", "DROP TABLE users;\n"),
        ("xargs rm < list", "list", "a\n", "src\n"),
        ("rm $(cat list)", "list", "a\n", "src\n"),
        ("node x.js; git tag v1", "y.js", "1\n", "2\n"),
        ("node x.js; git tag v1", "lib/z.js", "1\n", "2\n"),
        ("sh big.sh; git tag v1", "big.sh", "#" * 200_100 + "\nls\n", "#" * 200_100 + "\nls -l\n"),
        (". ./link.sh; git tag v1", "linked.sh", "V=1\n", "V=2\n"),
        (". ./.env; git tag v1", ".env", "V=1\n", "V=2\n"),
    ],
)
def test_and_for_all_that_is_read_from_files(tmp_path, command, path, before, after):
    tree = tmp_path.resolve() / "tree"
    (tree / "lib").mkdir(parents=True)
    (tree / "x.js").write_text("const y = require('./y'); import('./lib/z.js')\n")
    (tree / "link.sh").symlink_to("linked.sh")
    scope = replace(SCOPE, tree=str(tree))

    def mark() -> str:
        found = judge_command(command, scope, str(tree), TreeFiles())
        assert not found.allowed
        return acts.mark("Bash", {"command": command}, str(tree), None, followed=found.followed)

    (tree / path).write_text(before)
    first = mark()
    assert mark() == first
    (tree / path).write_text(after)
    assert mark() != first


def test_a_file_is_settled_until_it_is_touched_after_the_mark(tmp_path):
    mark, old, kept = tmp_path / "spec.json", tmp_path / "old.sh", tmp_path / "kept.sh"
    old.write_text("ls")
    kept.write_text("ls")
    files = TreeFiles(mark)
    assert files.settled(str(old)), "nobody has come yet"
    while mark.exists() is False or mark.stat().st_ctime_ns <= kept.stat().st_ctime_ns:
        mark.write_text("{}")
    while old.stat().st_ctime_ns <= mark.stat().st_ctime_ns:
        old.write_text("ls")
    # Whatever it is dated.
    os.utime(old, (0, 0))
    assert not files.settled(str(old))
    assert files.settled(str(kept))
    (tmp_path / "moved.sh").symlink_to(kept)
    assert not files.settled(str(tmp_path / "moved.sh"))
    assert not files.settled(str(tmp_path / "none.sh"))
    assert TreeFiles().settled(str(old))


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("echo 1 > t.py && python t.py && rm -f t.py", "none"),
        ("mkdir out; echo 1 > out/a; rm out/a", "none"),
        ("echo 1 > README.md && rm README.md", "delete"),
        ("echo 1 > t.py && rm t.py README.md", "delete"),
        ("rm t.py", "delete"),
        ("echo 1 > .git/x; rm .git/x", "git"),
    ],
)
def test_what_a_command_line_makes_where_nothing_was_it_may_take_away(command, rule):
    assert verdict(command, Disk({"README.md": "# it"})).rule == rule
    # Of nothing else it is known that nothing was there.
    assert judge_command("echo 1 > t.py && rm -f t.py", SCOPE, TREE).rule == "delete"
