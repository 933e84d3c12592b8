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
from orchestrd.errors import Refused, StorageError
from orchestrd.workspace import apply as applying
from orchestrd.workspace import transaction
from orchestrd.workspace.apply import apply, plan, recover

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
    carry_out, put_back = transaction._Change.carry_out, transaction._Change.put_back
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

        monkeypatch.setattr(transaction._Change, "carry_out", failing)
        if undone == "after a crash":
            monkeypatch.setattr(transaction._Change, "put_back", lambda change: None)
        try:
            await anyio.to_thread.run_sync(transaction.land, project, stage, made.steps, "sha1")
        except StorageError:
            await anyio.to_thread.run_sync(stage.close)
            monkeypatch.setattr(transaction._Change, "put_back", put_back)
            assert await recover(repo) == (undone == "after a crash")
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


async def test_what_was_changed_after_a_crash_is_left_for_the_person(repo, project, agent, monkeypatch):
    agent.put("kept.txt", "by the agent\n")
    made = await plan(repo, [await agent.done()])

    def crash(change):
        carry_out(change)
        raise OSError(5, "injected")

    carry_out = transaction._Change.carry_out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction._Change, "carry_out", crash)
        patch.setattr(transaction._Change, "put_back", lambda change: None)
        with pytest.raises(StorageError):
            await apply(repo, made)
    (project / "kept.txt").write_text("by the person, since\n")

    for _ in range(2):
        with pytest.raises(StorageError, match=r"kept\.txt was changed since"):
            await plan(repo, [])
    assert (project / "kept.txt").read_text() == "by the person, since\n"


async def test_half_a_manifest_and_empty_stages_are_swept_away(repo, project, agent):
    put(project, ".orchestrd-apply-x/.gitignore", "*\n")
    put(project, ".orchestrd-apply-y/manifest", '{"steps": [["kept')
    before = await repo.base(message="x")

    assert await recover(repo) == 0

    assert not [*project.glob(".orchestrd*")]
    assert before.tree_id == (await repo.base(message="x")).tree_id


async def test_another_apply_going_on_is_respected(repo, project, agent):
    stage = await anyio.to_thread.run_sync(transaction.Staging, project)
    try:
        with pytest.raises(Refused, match="being applied"):
            await plan(repo, [])
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
