"""
Bringing work over: everything or nothing, and never a byte under ``.git``.
"""

import os

import pytest

from gitworld import Agent, bring, files, git, image, merge_halfway, put, refuses
from orchestrd.workspace import apply as applying
from orchestrd.workspace.apply import apply, plan
from orchestrd.workspace.merge import DELETED_HERE
from orchestrd.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]


async def test_work_comes_over_unstaged_and_git_is_untouched(repo, project, agent):
    put(project, "staged.txt", "staged\n")
    git(project, "add", "staged.txt")
    put(project, "kept.txt", "one\ntwo\nthree\nfour, by the person\n")
    put(project, "mine.txt", "untracked\n")
    git(project, "stash", "list")
    before = image(project / ".git")
    agent.put("kept.txt", "ONE\ntwo\nthree\n")
    agent.put("docs/deep/new.md", "new\n")
    (agent.tree / "src/app.py").unlink()

    made = await plan(repo, [await agent.done()])
    assert image(project / ".git") == before
    assert not (project / "docs").exists()
    applied = await apply(repo, made)

    assert (applied.created, applied.modified, applied.deleted) == (
        ("docs/deep/new.md",),
        ("kept.txt",),
        ("src/app.py",),
    )
    assert (project / "kept.txt").read_text() == "ONE\ntwo\nthree\nfour, by the person\n"
    assert (project / "docs/deep/new.md").read_text() == "new\n"
    assert not (project / "src").exists()
    assert (project / "mine.txt").read_text() == "untracked\n"
    assert image(project / ".git") == before
    assert git(repo.path, "show", f"{applied.before}:kept.txt").endswith(b"four, by the person\n")
    assert not [*project.glob(".orchestrd*")]


async def test_applying_twice_is_nothing_to_do(repo, project, agent):
    agent.put("kept.txt", "by the agent\n")
    agent.put("new.txt")
    (agent.tree / "run.sh").unlink()
    work = await agent.done()
    await bring(repo, work)
    before = image(project)

    again = await bring(repo, work)

    assert again == applying.Applied(already=("kept.txt", "new.txt", "run.sh"))
    assert image(project) == before


async def test_everything_git_can_hold_comes_over(repo, project, agent):
    put(project, "old.bin", bytes(range(256)))
    agent.put(".gitattributes", "* text=auto eol=crlf\n")
    agent.put("dos.txt", b"one\r\ntwo\r\n")
    agent.put("unix.txt", b"one\ntwo\n")
    agent.put("picture.bin", bytes(range(256)) * 4)
    agent.put("new\nline \u6587.txt", "x")
    agent.put(b"latin-\xe9/\xff", "x")
    agent.put("tool", "#!/bin/sh\n", 0o755)
    agent.put("empty", b"")
    (agent.tree / "run.sh").chmod(0o644)
    (agent.tree / "src/app.py").chmod(0o755)
    (agent.tree / "here").symlink_to("kept.txt")
    (agent.tree / "dangling").symlink_to("no/such")
    (agent.tree / "outside").symlink_to("/etc/passwd")

    await bring(repo, await agent.done())

    expected = files(agent.tree)
    expected[b"old.bin"] = files(project)[b"old.bin"]
    assert files(project) == expected
    assert not os.access(project / "run.sh", os.X_OK)
    assert os.access(project / "src/app.py", os.X_OK)


async def test_modes_are_the_persons(repo, project, agent):
    (project / "kept.txt").chmod(0o640)
    (project / "src").chmod(0o750)
    agent.put("kept.txt", "changed\n")
    agent.put("src/private/new.py")
    agent.put("open/new.sh", "x", 0o755)
    project.chmod(0o755)
    mask = os.umask(0o077)
    try:
        await bring(repo, await agent.done())
    finally:
        os.umask(mask)

    modes = {path.decode(): oct(mode & 0o777) for path, (mode, _) in image(project).items()}
    assert modes["kept.txt"] == "0o640"
    assert (modes["src/private"], modes["src/private/new.py"]) == ("0o750", "0o640")
    assert (modes["open"], modes["open/new.sh"]) == ("0o755", "0o755")


async def test_files_folders_and_links_trade_places(repo, project, agent):
    put(project, "a/b/c", "deep\n")
    (project / "link").symlink_to("src")
    (project / "src/hollow/inner").mkdir(parents=True)
    other = await Agent.start(repo, agent.tree.with_name("other"))
    (other.tree / "kept.txt").unlink()
    other.put("kept.txt/now/a/folder")
    (other.tree / "a/b/c").unlink()
    (other.tree / "a/b").rmdir()
    other.put("a/b", "a file\n")
    (other.tree / "link").unlink()
    other.put("link/inside", "real folder\n")
    (other.tree / "src/app.py").unlink()
    (other.tree / "src").rmdir()
    (other.tree / "src").symlink_to("a")

    await bring(repo, await other.done())

    assert files(project) == files(other.tree)


async def test_a_chain_of_works(repo, project, agent, tmp_path):
    agent.put("chain.txt", "first\n")
    first = await agent.done()
    second = await Agent.start(repo, tmp_path / "second", merge=[first])
    second.put("chain.txt", "first\nsecond\n")
    both = [first, await second.done()]

    await refuses(repo, both[1], **{"chain.txt": DELETED_HERE})
    applied = await bring(repo, *both)

    assert applied.created == ("chain.txt",)
    assert (project / "chain.txt").read_text() == "first\nsecond\n"
    assert (await bring(repo, first, both[1])).created == ()
    assert (project / "chain.txt").read_text() == "first\nsecond\n"


async def test_in_the_middle_of_a_conflicted_merge(repo, project, agent):
    merge_halfway(project)
    agent.put("new.txt")
    before = image(project / ".git")

    await bring(repo, await agent.done())

    assert (project / "new.txt").exists()
    assert image(project / ".git") == before
    assert b"UU kept.txt" in git(project, "status", "--porcelain")


async def test_an_empty_repository_and_a_detached_head(repo, project, agent, tmp_path):
    git(project, "checkout", "-q", "--detach")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q", "--object-format=sha256")
    bare = await Repository.open(tmp_path / "fresh.git", fresh)
    maker = await Agent.start(bare, tmp_path / "maker")
    maker.put("first.txt")
    agent.put("first.txt")
    for here, who in ((bare, maker), (repo, agent)):
        before = image(here.project.path / ".git")
        assert (await bring(here, await who.done())).created == ("first.txt",)
        assert image(here.project.path / ".git") == before
