"""
Every kind of project: submodules, worktrees, empty, shallow, sparse, in the middle of a merge.
"""

import pytest

from gitworld import add_submodule, files, git, image, merge_halfway, put, started
from orchestrd.errors import ConfigError
from orchestrd.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]


@pytest.mark.parametrize("commits", [0, 1])
async def test_a_repository_inside_the_project_is_no_part_of_it(repo, project, tmp_path, commits):
    put(project, "vendor/lib/code.c")
    git(project / "vendor/lib", "init", "-q")
    if commits:
        git(project / "vendor/lib", "add", "-A")
        git(project / "vendor/lib", "commit", "-qm", "theirs")

    await started(repo, tmp_path / "tree")

    assert b"vendor/lib/code.c" not in files(tmp_path / "tree")


@pytest.mark.parametrize("commits", [0, 1])
async def test_a_repository_that_the_agent_makes_is_its_work(repo, project, tmp_path, commits):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "app/.gitignore", "junk\n")
    put(tree, "app/main.py")
    put(tree, "app/junk")
    git(tree / "app", "init", "-q")
    put(tree, "app/deeper/x")
    git(tree / "app/deeper", "init", "-q")
    if commits:
        git(tree / "app", "add", "main.py")
        git(tree / "app", "commit", "-qm", "theirs")

    after = await repo.snapshot(tree, parents=(base.commit,), message="after")

    names = git(repo.path, "diff", "--name-only", base.commit, after.commit).split()
    assert names == [b"app/.gitignore", b"app/deeper/x", b"app/main.py"]


async def test_submodules_stay_what_they_are(repo, project, tmp_path):
    add_submodule(project, tmp_path / "other")
    before = image(project)
    tree = tmp_path / "tree"

    base = await started(repo, tree)
    same = await repo.snapshot(tree, parents=(base.commit,), message="same")
    (tree / "sub").rmdir()
    gone = await repo.snapshot(tree, parents=(base.commit,), message="folder gone")
    put(tree, "sub/made.txt")
    filled = await repo.snapshot(tree, parents=(base.commit,), message="filled")

    assert git(repo.path, "ls-tree", base.commit, "sub").startswith(b"160000 commit")
    assert base.tree_id == same.tree_id == gone.tree_id
    assert git(repo.path, "ls-tree", "-r", "--name-only", filled.commit, "sub").split() == [b"sub/made.txt"]
    assert image(project) == before


async def test_a_project_that_is_itself_a_submodule_or_a_linked_worktree(project, tmp_path):
    git(project, "branch", "side")
    git(project, "worktree", "add", "-q", str(tmp_path / "linked"), "side")
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(project), "inner")
    for number, place in enumerate([tmp_path / "linked", outer / "inner"]):
        put(place, "kept.txt", "here\n")
        before = image(tmp_path / "project"), image(outer)

        repo = await Repository.open(tmp_path / f"{number}.git", place)
        await started(repo, tmp_path / f"tree{number}")

        assert files(tmp_path / f"tree{number}") == {k: v for k, v in files(place).items() if k != b".git"}
        assert git(tmp_path / f"tree{number}", "log", "--format=%s").split() == [b"base", b"first"]
        assert (image(tmp_path / "project"), image(outer)) == before


async def test_an_empty_repository(tmp_path):
    root = tmp_path / "fresh"
    root.mkdir()
    git(root, "init", "-q")
    repo = await Repository.open(tmp_path / "fresh.git", root)

    nothing = await started(repo, tmp_path / "nothing")
    put(root, "first.txt")
    await started(repo, tmp_path / "something")

    assert files(tmp_path / "nothing") == {}
    assert (
        await repo.snapshot(tmp_path / "nothing", parents=(nothing.commit,), message="x")
    ).tree_id == nothing.tree_id
    assert list(files(tmp_path / "something")) == [b"first.txt"]


async def test_detached_shallow_and_sha256_projects(project, tmp_path):
    for number in range(3):
        git(project, "commit", "-qm", f"more {number}", "--allow-empty")
    git(project, "checkout", "-q", "--detach", "HEAD~1")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{project}", "shallow")
    modern = tmp_path / "modern"
    modern.mkdir()
    git(modern, "init", "-q", "--object-format=sha256")
    put(modern, "x")
    git(modern, "add", "-A")
    git(modern, "commit", "-qm", "one")
    for number, place in enumerate([project, shallow, modern]):
        before = image(place)

        repo = await Repository.open(tmp_path / f"{number}.git", place)
        base = await started(repo, tmp_path / f"tree{number}")
        await started(repo, tmp_path / f"again{number}")

        assert files(tmp_path / f"tree{number}") == files(place)
        assert git(repo.path, "rev-parse", f"{base.commit}^") == git(place, "rev-parse", "HEAD")
        assert image(place) == before


async def test_a_merge_that_the_person_is_in_the_middle_of(repo, project, tmp_path):
    merge_halfway(project)
    assert b"UU" in git(project, "status", "--porcelain")
    before = image(project)

    await started(repo, tmp_path / "tree")

    assert files(tmp_path / "tree") == files(project)
    assert image(project) == before


async def test_flags_in_the_persons_index_hide_nothing(repo, project, tmp_path):
    git(project, "update-index", "--assume-unchanged", "kept.txt")
    put(project, "kept.txt", "changed in secret\n")
    git(project, "config", "core.splitIndex", "true")
    git(project, "update-index", "--split-index")

    await started(repo, tmp_path / "tree")

    assert files(tmp_path / "tree") == files(project)


async def test_a_sparse_checkout_keeps_what_is_not_on_disk(repo, project, tmp_path):
    git(project, "sparse-checkout", "set", "--no-cone", "/kept.txt")
    assert not (project / "src").exists()

    await started(repo, tmp_path / "tree")

    assert (tmp_path / "tree/src/app.py").read_text() == "print('hello')\n"


async def test_a_home_inside_the_project_is_no_part_of_it(project, tmp_path):
    var = project / "var"
    put(var, ".gitignore", "*\n")
    put(var, "orchestrd.db")
    repo = await Repository.open(var / "git/x.git", project, keep_out=[var])
    await started(repo, var / "agent_workspaces/day/task/tree")
    (var / ".gitignore").unlink()

    await started(repo, tmp_path / "tree")

    assert not any(path.startswith(b"var") for path in files(tmp_path / "tree"))


async def test_hooks_and_monitors_of_the_project_do_not_run(repo, project, tmp_path):
    trap = put(tmp_path, "trap.sh", f"#!/bin/sh\ntouch {tmp_path}/sprung\n", 0o755)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        put(project, f".git/hooks/{hook}", trap.read_bytes(), 0o755)
    git(project, "config", "core.fsmonitor", str(trap))
    git(project, "config", "--global", "core.hooksPath", str(project / ".git/hooks"))

    base = await started(repo, tmp_path / "tree")
    await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="x")

    assert not (tmp_path / "sprung").exists()


async def test_a_project_that_is_none_is_refused(project, tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    for place, says in [
        (tmp_path / "missing", "not a folder"),
        (tmp_path / "plain", "git init"),
        (tmp_path / "bare.git", "not a git work tree"),
        (project / "src", "lies inside"),
    ]:
        with pytest.raises(ConfigError, match=says):
            await Repository.open(tmp_path / "x.git", place)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="PATH"):
        await Repository.open(tmp_path / "x.git", project)


async def test_a_project_reached_through_a_link(project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    repo = await Repository.open(tmp_path / "x.git", tmp_path / "link")
    put(project, "late.txt")

    base = await repo.snapshot(tmp_path / "link", message="through the link")

    assert b"late.txt" in git(repo.path, "ls-tree", "--name-only", base.commit)


async def test_a_clone_that_holds_no_old_contents(project, tmp_path):
    """
    ``git clone --filter=blob:none``: what it never fetched is asked of nobody.
    """
    for number in range(3):
        put(project, "first.txt", content=f"{number}\n")
        git(project, "add", "-A")
        git(project, "commit", "-qm", f"more {number}")
    git(project, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{project}", "partial")
    project.rename(tmp_path / "gone")
    place = tmp_path / "partial"
    before = image(place)
    repo = await Repository.open(tmp_path / "p.git", place)
    base = await started(repo, tmp_path / "tree")
    assert files(tmp_path / "tree") == files(place)
    assert git(repo.path, "rev-parse", f"{base.commit}^") == git(place, "rev-parse", "HEAD")
    assert image(place) == before
    put(place, "first.txt", content="next\n")
    git(place, "commit", "-qam", "next")
    assert (await started(repo, tmp_path / "more")).commit != base.commit
    assert files(tmp_path / "more") == files(place)
