"""
What a run changed, told from real commits.
"""

import pytest

from gitworld import git, put
from orchestrd.workspace.changes import Change, Kind, changed_files, diff
from orchestrd.workspace.git import shown
from orchestrd.workspace.repository import Repository
from orchestrd.workspace.trees import Entry, steps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]


@pytest.fixture
async def pair(tmp_path):
    """
    A repository, and the commits before and after one of everything.
    """
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    put(root, "text.txt", "one\ntwo\nthree\n")
    put(root, "gone.txt", "a\nb\n")
    put(root, "old name.txt", "long enough\nto be\nrecognised\nafterwards\n")
    put(root, "data.bin", bytes(range(256)))
    put(root, "tool", "x\n")
    put(root, "turned", "a file\n")
    put(root, "same.txt", "same\n")
    repo = await Repository.open(tmp_path / "x.git", root)
    before = await repo.base(message="before")
    put(root, "text.txt", "one\n2\nthree\nfour\n")
    (root / "gone.txt").unlink()
    (root / "old name.txt").rename(root / "new\nname.txt")
    put(root, "data.bin", bytes(range(255, -1, -1)))
    (root / "tool").chmod(0o755)
    (root / "turned").unlink()
    (root / "turned").symlink_to("text.txt")
    put(root, b"latin-\xe9", "fresh\n")
    put(root, "esc\x1b[31m.txt", "fresh\n")
    after = await repo.base(message="after")
    return repo, before.commit, after.commit


async def test_every_kind_of_change_is_told(pair):
    repo, before, after = pair

    told = {change.path: change for change in await changed_files(repo, before, after)}

    text, none, tool = "100644", "000000", "100755"
    assert told == {
        change.path: change
        for change in (
            Change(path="text.txt", kind=Kind.MODIFIED, old_mode=text, mode=text, additions=2, deletions=1),
            Change(path="gone.txt", kind=Kind.DELETED, old_mode=text, mode=none, deletions=2),
            Change(path="new\nname.txt", kind=Kind.RENAMED, old_path="old name.txt", old_mode=text, mode=text),
            Change(path="data.bin", kind=Kind.MODIFIED, old_mode=text, mode=text, binary=True),
            Change(path="tool", kind=Kind.MODIFIED, old_mode=text, mode=tool),
            Change(path="turned", kind=Kind.RETYPED, old_mode=text, mode="120000", additions=1, deletions=1),
            Change(path="latin-\udce9", kind=Kind.CREATED, old_mode=none, mode=text, additions=1),
            Change(path="esc\x1b[31m.txt", kind=Kind.CREATED, old_mode=none, mode=text, additions=1),
        )
    }
    assert list(told) == sorted(told)
    assert await changed_files(repo, after, after) == ()


async def test_steps_know_no_renames(pair):
    repo, before, after = pair

    told = {step.path: step for step in await steps(repo.git, before, after)}

    assert told["old name.txt"].new is None
    assert told["new\nname.txt"].old is None
    assert told["new\nname.txt"].new == told["old name.txt"].old
    assert isinstance(told["tool"].new, Entry)
    assert told["tool"].new.mode == "100755"


async def test_names_fit_for_people():
    assert shown("naïve 文字.txt") == "naïve 文字.txt"
    assert shown("latin-\udce9") == "latin-\\xe9"
    assert shown("esc\x1b[31m\n") == "esc\\x1b[31m\\n"


async def test_the_difference_is_a_patch_that_git_takes(pair, tmp_path):
    repo, before, after = pair
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", "--no-checkout", str(repo.path), "copy")
    git(copy, "fetch", "-q", str(repo.path), before, after)
    git(copy, "checkout", "-q", before)

    git(copy, "apply", "--index", stdin=await diff(repo, before, after))

    assert git(copy, "write-tree") == git(copy, "rev-parse", f"{after}^{{tree}}")


async def test_only_the_paths_asked_for_and_taken_literally(pair):
    repo, before, after = pair

    some = await diff(repo, before, after, paths=["text.txt", ":(glob)*"])

    assert some.count(b"diff --git") == 1
    assert b"+four" in some


async def test_colour_and_table(pair):
    repo, before, after = pair

    assert b"\x1b[32m" in await diff(repo, before, after, color=True)
    assert b"\x1b[32m" not in await diff(repo, before, after)
    table = await diff(repo, before, after, stat=True)
    assert b"8 files changed" in table
    assert b"diff --git" not in table


async def test_long_output_is_cut_at_a_line_with_a_note(pair, tmp_path):
    repo, _, after = pair
    put(repo.project.path, "big.txt", "".join(f"line {number}\n" for number in range(200_000)))
    big = (await repo.base(message="big")).commit

    cut = await diff(repo, after, big, limit=10_000)
    whole = await diff(repo, after, big, limit=10_000_000)

    assert len(cut) < 10_100
    assert cut.splitlines()[-1].startswith(b"[cut after ")
    assert cut.splitlines()[-2].startswith(b"+line ")
    assert whole.endswith(b"+line 199999\n")
    assert await diff(repo, after, big) == whole


async def test_drivers_that_attributes_name_do_not_run(pair, tmp_path):
    repo, _, after = pair
    trap = put(tmp_path, "trap.sh", f"#!/bin/sh\ntouch {tmp_path}/sprung\n", 0o755)
    for key in ("diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(repo.project.path, "config", "--global", key, str(trap))
        git(repo.path, "config", key, str(trap))
    put(repo.project.path, ".gitattributes", "* diff=evil\n")
    put(repo.path, "info/attributes", "* -text diff=evil\n")
    put(repo.project.path, "text.txt", "other\n")
    other = (await repo.base(message="other")).commit

    assert b"+other" in await diff(repo, after, other)
    assert await changed_files(repo, after, other)
    assert not (tmp_path / "sprung").exists()
