"""
``apply`` when the machine fails, crashes, or somebody else is faster.
"""

import os
import shutil
from functools import partial

import anyio
import anyio.to_thread
import pytest

from gitworld import Agent, files, git, image, put
from orchestrd.errors import Refused, StorageError, Unsettled
from orchestrd.workspace import apply as applying
from orchestrd.workspace import exchange, repository, transaction
from orchestrd.workspace.apply import apply, plan
from orchestrd.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]


def variety(agent):
    """
    Work that needs every kind of step.
    """
    agent.put("kept.txt", "by the agent\n")
    agent.put("docs/deep/new.md", "new\n")
    (agent.tree / "src/app.py").unlink()
    (agent.tree / "src").rmdir()
    agent.put("src", "a file now\n")
    (agent.tree / "run.sh").unlink()
    agent.put("run.sh/inside", "a folder now\n", 0o755)
    (agent.tree / "link").symlink_to("kept.txt")


class Trap:
    """
    Makes the *number*th of the system calls that change files fail.
    """

    def __init__(self, patch, number):
        self.count = 0
        for name in ("rename", "link", "mkdir", "rmdir", "open", "fchmod"):
            patch.setattr(os, name, partial(self.call, getattr(os, name), number))

    def call(self, real, number, *args, **options):
        self.count += 1
        if self.count == number:
            raise OSError(5, "injected")
        return real(*args, **options)


async def test_a_file_saved_after_the_plan_is_not_overwritten(repo, project, agent):
    agent.put("kept.txt", "by the agent\n")
    agent.put("new.txt", "by the agent\n")
    made = await plan(repo, [await agent.done()])
    for path in ("kept.txt", "new.txt"):
        with put(project, path, "saved meanwhile\n").open():
            before = image(project)
            with pytest.raises(Refused, match="just changed"):
                await apply(repo, made)
            assert image(project) == before
        git(project, "checkout", "kept.txt")


@pytest.mark.parametrize("undone", ["by itself", "after a crash"])
async def test_a_failure_at_any_step_is_taken_back(repo, project, agent, tmp_path, monkeypatch, undone):
    variety(agent)
    put(project, "src/hollow/inner/.keep").unlink()
    (project / "src/hollow").chmod(0o710)
    made = await plan(repo, [await agent.done()])
    ready = tmp_path / "ready"
    (ready / "new").mkdir(parents=True)
    await applying._fill(repo, ready / "new", made.steps)
    shutil.copytree(project, tmp_path / "pristine", symlinks=True)
    before = image(project)
    carry_out, put_back = exchange.Exchange.carry_out, exchange.Exchange.put_back
    number = failed = 0
    traps = []
    while True:
        number += 1
        stage = await anyio.to_thread.run_sync(transaction.Staging, project)
        shutil.copytree(ready / "new", stage.new, symlinks=True, dirs_exist_ok=True)

        def failing(change, number=number):
            with pytest.MonkeyPatch.context() as patch:
                traps.append(Trap(patch, number))
                carry_out(change)

        monkeypatch.setattr(exchange.Exchange, "carry_out", failing)
        if undone == "after a crash":
            monkeypatch.setattr(exchange.Exchange, "put_back", lambda change: None)
        try:
            await anyio.to_thread.run_sync(transaction.land, project, stage, made.steps, "sha1")
        except StorageError:
            await anyio.to_thread.run_sync(stage.close)
            monkeypatch.setattr(exchange.Exchange, "put_back", put_back)
            assert (await repo.recover()).undone == (undone == "after a crash")
            assert image(project) == before
            failed += 1
            continue
        # The trap was never reached, or the failure did not matter: a link that became a move.
        await anyio.to_thread.run_sync(stage.close)
        assert files(project) == files(agent.tree)
        if traps[-1].count < number:
            break
        shutil.rmtree(project)
        shutil.copytree(tmp_path / "pristine", project, symlinks=True)
    assert failed > 20


async def test_file_systems_without_hard_links(repo, project, agent, monkeypatch):
    def no_links(*args, **options):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    variety(agent)
    made = await plan(repo, [await agent.done()])
    before = image(project)
    rename = os.rename
    count = 0

    def failing(*args, **options):
        nonlocal count
        count += 1
        if count == 6:
            raise OSError(5, "injected")
        return rename(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", failing)
        with pytest.raises(StorageError, match="taken back"):
            await apply(repo, made)
    assert image(project) == before

    await apply(repo, made)
    assert files(project) == files(agent.tree)


class Crash:
    """
    Makes an apply end half-way, as by SIGKILL: old files are out, and new ones in when it is *late*.
    """

    def __init__(self, repo, made, *, late=True):
        self.repo = repo
        self.made = made
        self.late = late

    async def happen(self):
        carry_out = exchange.Exchange.carry_out

        def crash(change):
            with pytest.MonkeyPatch.context() as patch:
                if not self.late:
                    patch.setattr(exchange, "failpoint", self.fail)
                carry_out(change)
            self.fail()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exchange.Exchange, "carry_out", crash)
            patch.setattr(exchange.Exchange, "put_back", lambda change: [])
            with pytest.raises(StorageError):
                await apply(self.repo, self.made)

    def fail(self, _=""):
        raise OSError(5, "injected")


@pytest.mark.parametrize("late", [False, True])
async def test_what_the_person_put_back_after_a_crash_is_back(repo, project, agent, late):
    agent.put("kept.txt", "by the agent\n")
    agent.put("run.sh", "by the agent\n", 0o755)
    agent.put("src/app.py", "by the agent\n")
    made = await plan(repo, [await agent.done()])
    before = image(project)
    await Crash(repo, made, late=late).happen()
    git(project, "checkout", "--", "kept.txt", "run.sh")

    found = await repo.recover()

    assert (found.undone, found.kept, found.stuck) == (1, (), ())
    after = image(project)
    assert {path: what for path, what in after.items() if not path.startswith(b".git/")} == {
        path: what for path, what in before.items() if not path.startswith(b".git/")
    }


@pytest.mark.parametrize("late", [False, True])
async def test_what_the_person_wrote_after_a_crash_stays_and_the_old_is_kept(repo, project, agent, late):
    agent.put("kept.txt", "by the agent\n")
    agent.put("run.sh", "by the agent\n", 0o755)
    agent.put("new.txt", "by the agent\n")
    agent.put("src/app.py", "by the agent\n")
    put(project, "docs/guide/one.md", "one\n")
    made = await plan(repo, [await agent.done()])
    pristine = files(project)
    await Crash(repo, made, late=late).happen()
    put(project, "kept.txt", "by the person, since\n")
    put(project, "new.txt", "by the person, since\n")
    # A mode alone is another file too.
    put(project, "run.sh", "#!/bin/sh\n", 0o644)
    (project / "src/app.py").unlink(missing_ok=True)
    (project / "src").rmdir()
    (project / "src").symlink_to("docs")

    found = await repo.recover()

    assert found.undone == 1
    assert found.stuck == ()
    (kept,) = project.glob(".orchestrd-kept-*")
    assert set(found.kept) == {f"{kept.name}/files/{path}" for path in ("kept.txt", "run.sh", "src/app.py")}
    assert (kept / "files/kept.txt").read_text() == "one\ntwo\nthree\n"
    assert (kept / "files/src/app.py").read_text() == "print('hello')\n"
    assert (project / "kept.txt").read_text() == "by the person, since\n"
    assert (project / "new.txt").read_text() == "by the person, since\n"
    assert not [*project.glob(".orchestrd-apply-*")]
    # It is no part of the project, neither for the person's git nor for ours, and nobody waits for it to go.
    assert b"orchestrd" not in git(project, "status", "--porcelain", "--untracked-files=all")
    seen = {os.fsencode(path) for path in (await listed(repo))}
    assert seen == {path for path in (*pristine, b"new.txt", b"src") if path != b"src/app.py"}
    assert await repo.recover() == transaction.Recovered()


async def listed(repo):
    tree = (await repo.base(message="x")).tree_id
    return (await repo.git.run("ls-tree", "-r", "-z", "--name-only", tree)).out.decode().rstrip("\0").split("\0")


async def test_what_cannot_be_put_back_now_is_put_back_later(repo, project, agent, monkeypatch):
    agent.put("kept.txt", "by the agent\n")
    made = await plan(repo, [await agent.done()])
    before = image(project)
    await Crash(repo, made).happen()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "link", lambda *_: Trap(patch, 1).call(os.link, 1))
        (stuck,) = (await repo.recover()).stuck
        assert "kept.txt" in stuck
        assert "old, numbered" in stuck
        # Nobody may take half a project for a whole one.
        for act in (plan(repo, []), repo.base(message="x")):
            with pytest.raises(Unsettled, match=r"cannot be taken back.*kept\.txt"):
                await act

    assert (await repo.recover()).undone == 1
    assert image(project) == before


async def test_what_was_applied_stays_known_until_it_is_forgotten(repo, project, agent, tmp_path):
    agent.put("kept.txt", "by the agent\n")
    await apply(repo, await plan(repo, [await agent.done()]), note='whose: "ä"')
    other = await Repository.open(tmp_path / "other/var/git/one.git", project)

    assert await repo.recover() == transaction.Recovered()
    assert await applying.landed(other) == []
    (landing,) = await applying.landed(repo)
    assert landing.note == 'whose: "ä"'
    assert (project / "kept.txt").read_text() == "by the agent\n"
    await applying.forget(landing)

    assert await applying.landed(repo) == []
    assert not [*project.glob(".orchestrd*")]


async def test_half_a_manifest_and_empty_stages_are_swept_away(repo, project, agent):
    put(project, ".orchestrd-apply-x/.gitignore", "*\n")
    put(project, ".orchestrd-apply-y/manifest", '{"steps": [["kept')
    before = await repo.base(message="x")

    assert await repo.recover() == transaction.Recovered()

    assert not [*project.glob(".orchestrd*")]
    # A person may call a file so.
    put(project, ".orchestrd-apply-notes.txt")
    assert await repo.recover() == transaction.Recovered()
    (project / ".orchestrd-apply-notes.txt").unlink()
    # A file that was moved out of the way is never swept away with it.
    put(project, ".orchestrd-apply-z/manifest", '{"steps": [["kept')
    moved = put(project, ".orchestrd-apply-z/old/0", "the only one\n")
    (stuck,) = (await repo.recover()).stuck
    assert "manifest cannot be read" in stuck
    assert moved.read_text() == "the only one\n"
    shutil.rmtree(project / ".orchestrd-apply-z")
    assert before.tree_id == (await repo.base(message="x")).tree_id


async def test_another_apply_going_on_is_respected(repo, project, agent, monkeypatch):
    monkeypatch.setattr(repository, "BUSY_SECONDS", 0.05)
    stage = await anyio.to_thread.run_sync(transaction.Staging, project)
    try:
        for act in (plan(repo, []), repo.base(message="x")):
            with pytest.raises(Refused, match="being applied"):
                await act
    finally:
        await anyio.to_thread.run_sync(stage.close)

    assert not [*project.glob(".orchestrd*")]


async def test_two_at_once(repo, project, agent, tmp_path):
    other = await Agent.start(repo, tmp_path / "other")
    agent.put("kept.txt", "by one\n")
    other.put("new.txt", "by another\n")
    plans = [await plan(repo, [await agent.done()]), await plan(repo, [await other.done()])]
    async with anyio.create_task_group() as group:
        for made in plans:
            group.start_soon(partial(apply, repo, made))

    assert (project / "kept.txt").read_text() == "by one\n"
    assert (project / "new.txt").read_text() == "by another\n"
    assert len(await repo.refs(applying.BEFORE)) == 2


async def test_a_file_saved_at_the_very_moment_is_put_back(repo, project, agent, monkeypatch):
    agent.put("kept.txt", "by the agent\n")
    agent.put("run.sh", "by the agent\n")
    made = await plan(repo, [await agent.done()])
    rename = os.rename

    def saving(source, *rest, **options):
        if source == "run.sh":
            (project / "run.sh").write_text("saved at this moment\n")
        return rename(source, *rest, **options)

    before = image(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", saving)
        with pytest.raises(Refused, match="just changed"):
            await apply(repo, made)

    assert (project / "run.sh").read_text() == "saved at this moment\n"
    (project / "run.sh").write_text("#!/bin/sh\n")
    assert image(project) == before


async def test_a_folder_that_becomes_a_link_after_the_plan_leads_nowhere(repo, project, agent, tmp_path):
    agent.put("src/app.py", "by the agent\n")
    agent.put("src/new.py", "by the agent\n")
    made = await plan(repo, [await agent.done()])
    outside = tmp_path / "outside"
    (project / "src").rename(outside)
    (project / "src").symlink_to(outside)
    before = image(project), image(outside)

    with pytest.raises(Refused, match="just changed"):
        await apply(repo, made)

    assert (image(project), image(outside)) == before


GARBLED = {
    "no text": b"\xff\xfe",
    "no object": b"[]",
    "no steps": b'{"algorithm": "sha1", "steps": 5, "folders": [], "absent": []}',
    "out of the project": b'{"algorithm": "sha1", "steps": [["../out.txt", null, ["100644", "0"]]], "folders": {}, "absent": []}',
    "into git": b'{"algorithm": "sha1", "steps": [[".git/config", null, ["100644", "0"]]], "folders": {}, "absent": []}',
}


@pytest.mark.parametrize("what", [*GARBLED, "a FIFO"])
@pytest.mark.parametrize("name", [exchange.MANIFEST, transaction.LANDED])
async def test_whatever_lies_in_the_project_a_start_goes_on(repo, project, what, name):
    place = project / ".orchestrd-apply-hostile"
    (place / "old").mkdir(parents=True)
    (place / "old" / "0").write_text("precious\n")
    if what == "a FIFO":
        os.mkfifo(place / name)
    else:
        (place / name).write_bytes(GARBLED[what])
    with anyio.fail_after(30):
        found = await repo.recover()
        assert await applying.landed(repo) == []
    assert (place / "old" / "0").read_text() == "precious\n"
    assert bool(found.stuck) is (name == exchange.MANIFEST)
    await anyio.to_thread.run_sync(transaction.leftovers, project, str(repo.path))


async def test_a_note_that_is_no_text_is_nobodys(repo, project):
    place = project / ".orchestrd-apply-note"
    place.mkdir()
    (place / transaction.LANDED).write_text(f'{{"owner": "{repo.path}", "note": 5}}')
    assert await applying.landed(repo) == []
