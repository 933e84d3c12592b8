"""
Which tracked files of a tree are there, whatever lies in their place.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from orchestrd.workspace import filelist
from orchestrd.workspace.filelist import SETTLED_NS, FileList

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
PATHS = ("a.txt", "sub/b.txt", "sub/deep/c.txt", "odd \udcff name")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "core.quotePath=false", *words], cwd=folder, env=ENV, capture_output=True, check=True)


@pytest.fixture(params=["2", "4"])
def tree(tmp_path: Path, request) -> Path:
    root = tmp_path / "tree"
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path, encoding="utf-8", errors="surrogateescape")
    git(root, "init", "-q")
    git(root, "config", "index.version", request.param)
    (root / "link").symlink_to("nowhere")
    git(root, "add", ".")
    git(root, "update-index", "--index-version", request.param)
    return root


def of(tree: Path) -> FileList:
    return FileList(tree, tree / ".git" / "index")


def test_all_are_there(tree):
    assert of(tree).gone() == set()


def test_what_is_gone(tree):
    files = of(tree)
    files.gone()
    (tree / "a.txt").unlink()
    (tree / "link").unlink()
    assert files.gone() == {"a.txt", "link"}


@pytest.mark.parametrize("instead", ["a folder", "a link", "a pipe"])
def test_what_is_something_else_by_now(tree, instead):
    (tree / "a.txt").unlink()
    if instead == "a folder":
        (tree / "a.txt").mkdir()
    elif instead == "a link":
        (tree / "a.txt").symlink_to("/dev/null")
    else:
        os.mkfifo(tree / "a.txt")
    assert of(tree).gone() == {"a.txt"}


@pytest.mark.parametrize("instead", ["nothing", "a link", "a file"])
def test_a_folder_that_is_gone(tree, instead):
    files = of(tree)
    files.gone()
    (tree / "sub").rename(tree.parent / "outside")
    if instead == "a link":
        (tree / "sub").symlink_to(tree.parent / "outside")
    elif instead == "a file":
        (tree / "sub").write_text("")
    assert files.gone() == {"sub/b.txt", "sub/deep/c.txt"}


def test_a_name_that_is_no_text(tree):
    (tree / "odd \udcff name").unlink()
    assert of(tree).gone() == {r"odd \xff name"}


def test_what_git_does_not_expect_there_is_not_missed(tree):
    git(tree, "update-index", "--skip-worktree", "a.txt")
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    (tree / "a.txt").unlink()
    assert of(tree).gone() == set()


def test_a_folder_that_rests_is_not_read_again(tree, monkeypatch):
    files = of(tree)
    read = []
    with monkeypatch.context() as later:
        later.setattr(filelist.time, "time_ns", lambda now=time.time_ns: now() + 2 * SETTLED_NS)
        files.gone()
        monkeypatch.setattr(filelist.os, "scandir", lambda path, scan=os.scandir: (read.append(path), scan(path))[1])
        files.gone()
    assert read == []
    # However old its list is made to look.
    (tree / "sub" / "b.txt").unlink()
    os.utime(tree / "sub", ns=(0, 0))
    assert files.gone() == {"sub/b.txt"}
    assert read == [tree / "sub"]
    # Of one that has just changed the times do not tell yet.
    (tree / "sub" / "deep" / "c.txt").unlink()
    assert files.gone() == {"sub/b.txt", "sub/deep/c.txt"}


@pytest.mark.parametrize("content", [b"", b"DIRC", b"x" * 200], ids=len)
def test_an_index_that_says_nothing(tree, content):
    (tree / ".git" / "index").write_bytes(content)
    (tree / "a.txt").unlink()
    assert of(tree).gone() == set()
