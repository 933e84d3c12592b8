"""
What an agent in a sandbox is shown of our repository, with the real git on real repositories.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from gitworld import Agent, git, make_project, put, started
from orchestrd.errors import StorageError
from orchestrd.workspace import worktree
from orchestrd.workspace.repository import Repository, ref_name
from orchestrd.workspace.view import View, show

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]
SECRET = b"TOKEN=planted-51d2e84b\n"


def objects(*places: Path) -> set[bytes]:
    """
    The ids of all objects that lie in these repositories, what they borrow left out.
    """
    found: set[bytes] = set()
    for place in places:
        alternates = place / "objects" / "info" / "alternates"
        kept = alternates.read_bytes() if alternates.exists() else None
        alternates.unlink(missing_ok=True)
        found |= {
            line.split()[0] for line in git(place, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
        }
        if kept is not None:
            alternates.write_bytes(kept)
    return found


def reached(repo: Repository, commit: str) -> set[bytes]:
    return {line.split()[0] for line in git(repo.path, "rev-list", "--objects", commit).splitlines()}


def whole(view: View, commit: str) -> bool:
    """
    True when everything of *commit* can be read where the view lies.
    """
    return git(view.folder, "fsck", "--strict", "--no-dangling") == b"" and bool(
        git(view.folder, "rev-list", "--objects", commit)
    )


async def shown(repo: Repository, tree: Path) -> View:
    view = await show(repo, tree)
    assert view is not None
    return view


async def test_what_the_project_names_in_its_history_is_named(repo, project, tmp_path):
    """
    Branches, tags and remotes' branches, and nothing that lies beside that history.
    """
    branch = git(project, "symbolic-ref", "--short", "HEAD").strip().decode()
    git(project, "tag", "light")
    git(project, "tag", "-am", "words", "told")
    git(project, "branch", "merged/here")
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(project, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    first = git(project, "rev-parse", "HEAD").strip()
    git(project, "checkout", "-qb", "beside")
    put(project, "kept.txt", "beside\n")
    git(project, "commit", "-qam", "beside")
    git(project, "checkout", "-q", branch)
    put(project, "kept.txt", "second\n")
    git(project, "commit", "-qam", "second")
    second = git(project, "rev-parse", "HEAD").strip()
    await started(repo, tmp_path / "tree")

    view = await shown(repo, tmp_path / "tree")

    named = git(
        view.folder, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/remotes", "refs/tags"
    )
    assert dict(row.split() for row in named.splitlines()) == {
        f"refs/heads/{branch}".encode(): second,
        b"refs/heads/merged/here": first,
        b"refs/remotes/origin/HEAD": first,
        b"refs/remotes/origin/main": first,
        b"refs/tags/light": first,
        b"refs/tags/told": first,
    }
    assert git(view.folder, "fsck", "--strict", "--no-dangling") == b""
    # A person who takes them back takes them from nobody who works.
    git(project, "tag", "-d", "light")
    assert (await shown(repo, tmp_path / "tree")).folder == view.folder
    assert git(view.folder, "rev-parse", "light").strip() == first


async def test_a_history_that_the_project_has_no_more_has_no_names(repo, project, tmp_path):
    """
    The person amended, and collected garbage: the tree stands on what only we have.
    """
    await started(repo, tmp_path / "tree")
    git(project, "commit", "-q", "--amend", "-m", "amended")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "-q", "--prune=now")

    view = await shown(repo, tmp_path / "tree")

    assert git(view.folder, "for-each-ref", "refs/heads", "refs/remotes", "refs/tags") == b""
    assert git(view.folder, "log", "--format=%s", "refs/orchestrd/base").split()[:1] == [b"base"]


async def other_work(repo: Repository, tmp_path: Path) -> None:
    """
    What lies in our repository besides: another's work, and a snapshot of all of its tree.
    """
    base = await started(repo, tmp_path / "other")
    put(tmp_path / "other", ".gitignore", "*.log\nbuild/\n.env\n")
    put(tmp_path / "other", ".env", SECRET)
    taken = await repo.whole(tmp_path / "other", parent=base.commit, max_file=0)
    await repo.keep_whole(
        taken, parents=(base.commit,), message="a snapshot", name=lambda _: ref_name("day", "other", "snapshot")
    )
    secret = git(repo.path, "rev-parse", "refs/orchestrd/day/other/snapshot:.env").strip()
    assert secret in objects(repo.path)


async def test_history_and_base_are_all_there_is(repo, project, tmp_path):
    put(project, "kept.txt", "second\n")
    git(project, "commit", "-qam", "second")
    await other_work(repo, tmp_path)
    put(project, "uncommitted.txt", "a person's\n")
    base = await started(repo, tmp_path / "tree")

    view = await shown(repo, tmp_path / "tree")

    assert objects(view.folder, view.history) == reached(repo, base.commit)
    assert whole(view, base.commit)
    assert git(view.folder, "log", "--format=%s", base.commit).split() == [b"base", b"second", b"first"]
    assert git(view.folder, "for-each-ref", "--format=%(objectname)", "refs/orchestrd").split() == [
        base.commit.encode()
    ]
    # The history is had once.
    assert objects(view.history) == reached(repo, f"{base.commit}^")
    assert len(objects(view.folder)) == len(reached(repo, base.commit)) - len(reached(repo, f"{base.commit}^"))


async def test_gits_answers_are_those_of_our_repository(repo, project, tmp_path):
    """
    Laid out as a sandbox does: the view in our repository's place, and the tree's entry in it.
    """
    put(project, "notes.txt", "a person's\n")
    put(tmp_path / "person/.config/git", "ignore", "*.tmp\n")
    await started(repo, tmp_path / "tree")
    put(tmp_path / "tree", "kept.txt", "by an agent\n")
    put(tmp_path / "tree", "x.tmp", "ignored\n")
    put(tmp_path / "tree", "new.txt", "made\n")
    questions = (("status", "--porcelain"), ("diff",), ("log", "-p"), ("blame", "run.sh"), ("ls-files", "-s"))
    before = [git(tmp_path / "tree", *words) for words in questions]

    view = await shown(repo, tmp_path / "tree")
    shutil.copytree(view.entry, view.folder / "worktrees" / view.entry.name, dirs_exist_ok=True)
    repo.path.rename(tmp_path / "away")
    shutil.copytree(view.folder, view.place)

    assert [git(tmp_path / "tree", *words) for words in questions] == before
    assert b"?? new.txt" in before[0]
    assert b"x.tmp" not in before[0]


async def test_it_is_there_already(repo, tmp_path, monkeypatch):
    await started(repo, tmp_path / "tree")
    view = await shown(repo, tmp_path / "tree")
    before = objects(view.folder)
    asked = []
    run = type(repo.git).run

    async def note(self, *words, **how):
        asked.append(words[0])
        return await run(self, *words, **how)

    monkeypatch.setattr(type(repo.git), "run", note)
    assert await shown(repo, tmp_path / "tree") == view
    assert "fetch" not in asked
    assert objects(view.folder) == before


async def test_what_was_shown_of_another_base_is_not_shown_any_more(repo, project, tmp_path):
    await started(repo, tmp_path / "tree")
    first = await shown(repo, tmp_path / "tree")
    put(first.folder, "objects/stray", b"")
    await worktree.remove(repo, await worktree.prove(repo, tmp_path / "tree"))
    assert not first.folder.exists()

    # Nor when a daemon died before it was removed.
    put(project, "kept.txt", "uncommitted, once\n")
    await started(repo, tmp_path / "tree")
    second = await shown(repo, tmp_path / "tree")
    kept = tmp_path / "kept"
    shutil.copytree(second.folder, kept)
    await worktree.remove(repo, await worktree.prove(repo, tmp_path / "tree"))
    shutil.copytree(kept, second.folder)
    put(project, "kept.txt", "uncommitted, now\n")
    base = await started(repo, tmp_path / "tree")
    third = await shown(repo, tmp_path / "tree")
    assert third.folder == second.folder
    assert objects(third.folder, third.history) == reached(repo, base.commit)


def lose_a_base(view: View) -> None:
    shutil.rmtree(view.folder / "objects")
    (view.folder / "objects").mkdir()


def cut_its_config(view: View) -> None:
    (view.folder / "config").write_text("[core\n")
    (view.folder / "refs/orchestrd/base").unlink()


def cut_the_historys(view: View) -> None:
    (view.history / "config").write_text("[core\n")
    shutil.rmtree(view.history / "refs/orchestrd")
    shutil.rmtree(view.folder)


def lose_the_history(view: View) -> None:
    shutil.rmtree(view.history)


def leave_a_lock(view: View) -> None:
    (view.folder / "refs/orchestrd/base").unlink()
    put(view.folder, "refs/orchestrd/base.lock")
    put(view.folder, "shallow.lock")


@pytest.mark.parametrize("damage", [cut_its_config, cut_the_historys, lose_the_history, leave_a_lock, lose_a_base])
async def test_what_is_damaged_is_made_anew(repo, tmp_path, damage):
    base = await started(repo, tmp_path / "tree")
    view = await shown(repo, tmp_path / "tree")
    await anyio.to_thread.run_sync(damage, view)

    assert await shown(repo, tmp_path / "tree") == view
    assert whole(view, base.commit)


async def test_a_history_that_grows_is_gone_on_with(repo, project, tmp_path):
    await started(repo, tmp_path / "a")
    first = await shown(repo, tmp_path / "a")
    put(project, "kept.txt", "second\n")
    git(project, "commit", "-qam", "second")
    # As a git leaves them that is killed.
    put(first.history, "refs/orchestrd/head.lock")
    put(first.history, "shallow.lock")
    base = await started(repo, tmp_path / "b")
    second = await shown(repo, tmp_path / "b")
    assert second.history == first.history
    assert whole(second, base.commit)
    assert whole(
        await shown(repo, tmp_path / "a"), git(first.folder, "rev-parse", "refs/orchestrd/base").decode().strip()
    )
    # And when it cannot be gone on with.
    put(project, "kept.txt", "third\n")
    git(project, "commit", "-qam", "third")
    (first.history / "config").write_text("[core\n")
    base = await started(repo, tmp_path / "c")
    assert whole(await shown(repo, tmp_path / "c"), base.commit)
    assert await show(repo, tmp_path / "a") is not None


async def test_what_a_person_took_out_of_the_history_is_not_shown_later(repo, project, tmp_path):
    put(project, "config.py", "PASSWORD = 'planted-hunter2'\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "oops")
    before = await started(repo, tmp_path / "a")
    first = await shown(repo, tmp_path / "a")
    secret = git(project, "rev-parse", "HEAD:config.py").strip()
    put(project, "config.py", "PASSWORD = None\n")
    git(project, "commit", "-qa", "--amend", "-m", "mended")
    base = await started(repo, tmp_path / "b")
    second = await shown(repo, tmp_path / "b")
    assert secret in objects(first.folder, first.history)
    assert secret not in objects(second.folder, second.history)
    assert whole(second, base.commit)
    # The earlier one stays what it was, and its history goes once nobody borrows it.
    assert whole(await shown(repo, tmp_path / "a"), before.commit)
    await worktree.remove(repo, await worktree.prove(repo, tmp_path / "a"))
    git(project, "commit", "-qa", "--amend", "-m", "mended again")
    await started(repo, tmp_path / "c")
    third = await shown(repo, tmp_path / "c")
    assert sorted(path.name for path in repo.path.parent.glob("history-*")) == sorted(
        {second.history.name, third.history.name}
    )


async def test_several_at_once(repo, project, tmp_path):
    names = [f"tree-{number}" for number in range(5)]
    bases = [await started(repo, tmp_path / name) for name in names]
    views: list[View] = []

    async def one(name: str) -> None:
        views.append(await shown(repo, tmp_path / name))

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)
    assert len({view.folder for view in views}) == len(names)
    assert all(whole(view, bases[0].commit) for view in views if view.entry.name == "tree-0")
    assert all(git(view.folder, "fsck", "--strict") == b"" for view in views)


async def test_the_home_is_moved(tmp_path, project):
    repo = await Repository.open(tmp_path / "here/var/git/work.git", project)
    base = await started(repo, tmp_path / "here/var/workspaces/day/task/tree")
    await shown(repo, tmp_path / "here/var/workspaces/day/task/tree")
    (tmp_path / "here").rename(tmp_path / "there")
    moved = await Repository.open(tmp_path / "there/var/git/work.git", project)
    await worktree.follow(moved, tmp_path / "there/var/workspaces")

    view = await shown(moved, tmp_path / "there/var/workspaces/day/task/tree")
    assert view.folder.is_relative_to(tmp_path / "there")
    assert whole(view, base.commit)


async def test_nothing_was_committed(tmp_path, person):
    project = tmp_path / "empty"
    project.mkdir()
    git(project, "init", "-q")
    put(project, "first.txt", "first\n")
    repo = await Repository.open(tmp_path / "home/var/git/work.git", project)
    base = await started(repo, tmp_path / "tree")
    view = await shown(repo, tmp_path / "tree")
    assert whole(view, base.commit)
    assert view.history is None
    assert objects(view.folder) == reached(repo, base.commit)


async def test_sha256(tmp_path, person):
    repo = await Repository.open(tmp_path / "git/work.git", make_project(tmp_path / "new", object_format="sha256"))
    base = await started(repo, tmp_path / "tree")
    assert whole(await shown(repo, tmp_path / "tree"), base.commit)


async def test_a_shallow_project(tmp_path, project):
    for number in range(3):
        put(project, "kept.txt", f"{number}\n")
        git(project, "commit", "-qam", f"number {number}")
    git(tmp_path, "clone", "-q", "--depth", "2", project.as_uri(), "shallow")
    repo = await Repository.open(tmp_path / "git/work.git", tmp_path / "shallow")
    base = await started(repo, tmp_path / "tree")
    view = await shown(repo, tmp_path / "tree")
    assert git(view.folder, "log", "--format=%s", base.commit).splitlines() == [b"base", b"number 2", b"number 1"]
    assert whole(view, base.commit)


async def test_no_worktree_has_none(repo, project, tmp_path):
    assert await show(repo, project) is None
    assert await show(repo, tmp_path / "nothing") is None


async def test_a_repository_that_has_lost_the_base(repo, tmp_path):
    agent = await Agent.start(repo, tmp_path / "tree")
    shutil.rmtree(repo.path / "objects")
    (repo.path / "objects").mkdir()
    with pytest.raises(StorageError):
        await show(repo, agent.tree)
