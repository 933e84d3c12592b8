"""
What an agent made in its tree is told from what was there before, by whatever name it goes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrd.policy.engine import judge_command
from orchestrd.policy.scope import Scope
from orchestrd.workspace.ownfiles import OwnFiles


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """
    A project: a tracked file, one that git ignores, and a folder of each; the agent has just come.
    """
    path = tmp_path / "tree"
    path.mkdir()

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=path, check=True, capture_output=True
        )

    git("init", "-q")
    for name in ("README.md", "src/app.py"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(name)
    (path / ".gitignore").write_text("data\n*.log\n")
    git("add", ".")
    git("commit", "-qm", "one")
    for name in ("data/rows", "old.log"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(name)
    later(tmp_path / "spec.json", than=path / "old.log")
    return path


def later(path: Path, *, than: Path) -> Path:
    """
    Write *path* until the clock of the file system has gone on.
    """
    while not path.exists() or path.lstat().st_ctime_ns <= than.lstat().st_ctime_ns:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("new")
    return path


@pytest.fixture
def made(tree: Path) -> Callable[[str], bool]:
    files = OwnFiles(tree.parent / "spec.json", root=tree, index=tree / ".git" / "index")
    return lambda name: files.made(str(tree / name))


def test_what_was_there_is_not_the_agents(tree, made):
    for name in (
        "README.md",
        "src",
        "src/app.py",
        "data",
        "old.log",
        "*.log",
        ".",
        "",
        ".git",
        "../tree",
        "none",
        "no*",
    ):
        assert not made(name), name


def test_what_is_new_is(tree, made):
    mark = tree.parent / "spec.json"
    later(tree / "t.py", than=mark)
    later(tree / "out" / "deep" / "a", than=mark)
    (tree / "link").symlink_to("README.md")
    (tree / "empty").mkdir()
    for name in ("t.py", "out", "out/deep", "out/deep/a", "t.*", "link", "empty", "./out/../t.py"):
        assert made(name), name
    assert not made("*"), "not all of it"


def test_nor_is_what_was_there_under_another_name(tree, made):
    mark = tree.parent / "spec.json"
    later(tree / "x", than=mark)
    later(tree / "data" / "new", than=mark)
    assert made("data/new")
    assert not made("data"), "the rest was there"
    (tree / "README.md").rename(tree / "x")
    assert not made("x")
    (tree / "src").rename(tree / "y")
    assert not made("y")
    (tree / "away").symlink_to(tree.parent)
    later(tree.parent / "mine", than=mark)
    assert not made("away/mine")
    later(tree / "repo" / ".git" / "HEAD", than=mark)
    assert not made("repo")


def test_without_an_index_or_before_it_comes_nothing_is(tree, made):
    later(tree / "t.py", than=tree.parent / "spec.json")
    (tree / ".git" / "index").write_bytes(b"no index")
    assert not made("t.py")
    early = OwnFiles(tree.parent / "none", root=tree, index=tree / ".git" / "index")
    assert not early.made(str(tree / "t.py"))


def test_it_may_take_away_what_it_made(tree):
    files = OwnFiles(tree.parent / "spec.json", root=tree, index=tree / ".git" / "index")
    later(tree / "t.py", than=tree.parent / "spec.json")
    later(tree / "out" / "a", than=tree.parent / "spec.json")
    scope = Scope(tree=str(tree), scratch=(str(tree.parent / "tmp"),))

    def rule(command: str) -> str:
        return judge_command(command, scope, str(tree), files).rule

    for command in ("rm t.py", "rm -rf out", "rm -f t.py out/a", "mv t.py ../tmp/", "cd out && rm a", "rm *.py"):
        assert rule(command) == "none", command
    for command in (
        "rm README.md",
        "rm t.py README.md",
        "rm -rf .",
        "rm -rf data",
        "rm none",
        "mv README.md t.py; rm t.py",
        "mv src out; rm -rf out",
        "mv README.md $X; rm t.py",
    ):
        assert rule(command) == "delete", command
