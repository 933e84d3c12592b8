"""
A repository is called lost only when it says so itself: git that cannot be run says nothing of it.
"""

import subprocess

import pytest

from gitworld import git, make_project
from orchestrd.errors import GitFailed, LostWork, StorageError
from orchestrd.workspace import custody
from orchestrd.workspace.git import MARK, Git
from orchestrd.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("person")]
REF = "refs/orchestrd/orchestrd/2026-11-22/a/1/result"


async def kept(repo: Repository, project) -> dict[str, str]:
    """
    Something that the journal says was kept.
    """
    return {REF: (await repo.snapshot(project, message="kept", ref=REF)).commit}


async def test_git_that_is_killed_says_nothing(repo, project, monkeypatch):
    holds = await kept(repo, project)
    real = subprocess.run

    def killed(argv, **more):
        done = real(argv, **more)
        return subprocess.CompletedProcess(argv, -9, b"", b"") if "cat-file" in argv else done

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(GitFailed, match="failed with status -9"):
        custody.examine(repo.path, holds)
    with pytest.raises(StorageError) as caught:
        await custody.open_whole(repo.path, project, holds)
    assert not isinstance(caught.value, LostWork)


async def test_git_that_cannot_be_started_says_nothing(repo, project, monkeypatch):
    holds = await kept(repo, project)

    def refused(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(subprocess, "run", refused)
    with pytest.raises(StorageError, match="could not be started") as caught:
        await custody.open_whole(repo.path, project, holds)
    assert not isinstance(caught.value, LostWork)


async def test_who_asks_from_beside_a_daemon_is_not_marked_as_its_git(repo, monkeypatch):
    seen = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda argv, **more: seen.append(more["env"]) or real(argv, **more))
    Git.ours(repo.path).ask("rev-parse", "--show-object-format")
    assert [MARK in env for env in seen] == [False]


@pytest.mark.parametrize("damage", ["emptied", "removed"])
async def test_a_sha256_repository_without_its_settings_is_mended(tmp_path, damage):
    project = make_project(tmp_path / "p256", object_format="sha256")
    path = tmp_path / "own.git"
    repo = await Repository.open(path, project)
    holds = await kept(repo, project)
    if damage == "emptied":
        (path / "config").write_bytes(b"")
    else:
        (path / "config").unlink()
    found = custody.examine(path, holds)
    assert (found.mendable, found.lost) == (True, {})
    again = await custody.open_whole(path, project, holds)
    assert custody.examine(path, holds).gone == ""
    assert git(again.path, "rev-parse", "--show-object-format").strip() == b"sha256"


async def test_a_new_repository_with_damaged_settings_is_mended(repo, project):
    (repo.path / "config").write_text("[core\n")
    again = await custody.open_whole(repo.path, project, {})
    assert git(again.path, "rev-parse", "--is-bare-repository").strip() == b"true"
    await again.base(message="base")


async def test_a_second_giving_up_remembers_the_first(repo, project):
    first = await kept(repo, project)
    custody.give_up(repo.path, custody.examine(repo.path, first), aside=repo.path.with_name("bad-1"))
    again = await Repository.open(repo.path, project)
    second = {REF.replace("/1/", "/2/"): (await again.snapshot(project, message="more", ref=f"{REF}2")).commit}
    (repo.path / "config").write_text("[core\n")
    mended = custody.mend(repo.path, custody.examine(repo.path, {**first, **second}))
    custody.give_up(repo.path, mended, aside=repo.path.with_name("bad-2"))
    noted = (repo.path / custody.GIVEN_UP).read_text().split()
    assert set(noted) == {*first.values(), *second.values()}
    assert repo.path.with_name("bad-2").is_dir()
