"""
What ``apply`` refuses to touch, and that it says why.
"""

import os
import shutil

import pytest

from gitworld import Agent, add_submodule, bring, git, image, put, refuses
from orchestrd.workspace import apply as applying
from orchestrd.workspace.apply import plan
from orchestrd.workspace.merge import (
    BOTH_CHANGED,
    BOTH_CREATED,
    DELETED_HERE,
    DELETED_THERE,
    KINDS,
    SUBMODULE,
)
from orchestrd.workspace.repository import Repository

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]


async def test_conflicts_are_named_and_nothing_is_touched(repo, project, agent):
    for name in ("both.txt", "del-here.txt", "del-there.txt", "kind.txt"):
        put(project, name, "base\n")
    agent = await Agent.start(repo, agent.tree.with_name("second"))
    agent.put("both.txt", "agent\n")
    agent.put("fresh.txt", "agent\n")
    agent.put("del-here.txt", "agent\n")
    (agent.tree / "del-there.txt").unlink()
    (agent.tree / "kind.txt").unlink()
    agent.put("kind.txt/inside")
    agent.put("harmless.txt")
    put(project, "both.txt", "person\n")
    put(project, "fresh.txt", "person\n")
    (project / "del-here.txt").unlink()
    put(project, "del-there.txt", "person\n")
    put(project, "kind.txt", "person\n")

    await refuses(
        repo,
        await agent.done(),
        **{
            "both.txt": BOTH_CHANGED,
            "fresh.txt": BOTH_CREATED,
            "del-here.txt": DELETED_HERE,
            "del-there.txt": DELETED_THERE,
            "kind.txt": DELETED_THERE,
            "kind.txt/inside": KINDS,
        },
    )


async def test_ignored_files_are_never_overwritten(repo, project, agent):
    put(project, "out.log", "the person's\n")
    put(project, "same.log", "same\n")
    agent.put(".gitignore", "")
    agent.put("out.log", "the agent's\n")
    agent.put("same.log", "same\n")

    await refuses(repo, await agent.done(), **{"out.log": applying.UNTRACKED})

    (project / "out.log").unlink()
    applied = await bring(repo, await agent.done())
    assert applied.created == ("out.log",)
    assert applied.already == ("same.log",)


async def test_whatever_stands_in_the_way_is_named(repo, project, agent, tmp_path):
    put(project, "build/cache/x", "ignored\n")
    (project / "hollow/inner").mkdir(parents=True)
    (project / "to").symlink_to(tmp_path)
    put(project, ".git/info/exclude", "to\nblock.tmp\n")
    put(project, "block.tmp", "ignored file\n")
    put(project, "vendor/lib.c")
    git(project / "vendor", "init", "-q")
    os.mkfifo(project / "pipe")
    agent.put("build", "a file\n")
    agent.put("to/inside", "leads out\n")
    agent.put("block.tmp/inside")
    agent.put("vendor/mine.c")
    agent.put("pipe", "a file\n")
    agent.put("hollow", "a file\n")
    put(agent.tree, ".gitignore", "")

    await refuses(
        repo,
        await agent.done(),
        **{
            "build": applying.IN_THE_WAY,
            "to/inside": applying.LINKED,
            "block.tmp/inside": applying.BLOCKED,
            "vendor/mine.c": applying.FOREIGN,
            "pipe": applying.ODD,
        },
    )
    assert not (tmp_path / "inside").exists()


async def test_a_link_that_the_person_made_is_not_followed(repo, project, agent, tmp_path):
    agent.put("src/app.py", "by the agent\n")
    agent.put("src/new.py", "by the agent\n")
    outside = tmp_path / "outside"
    put(outside, "app.py", "print('hello')\n")
    shutil.rmtree(project / "src")
    (project / "src").symlink_to(outside)
    before = image(outside)

    made = await plan(repo, [await agent.done()])

    assert "src/app.py" in {conflict.path for conflict in made.conflicts}
    assert image(outside) == before


async def test_submodules_are_the_persons(repo, project, tmp_path):
    add_submodule(project, tmp_path / "other")
    agent = await Agent.start(repo, tmp_path / "with-sub")
    agent.put("kept.txt", "beside it\n")
    await bring(repo, await agent.done())
    assert (project / "kept.txt").read_text() == "beside it\n"

    agent.put("sub/made.txt")
    await refuses(repo, await agent.done(), sub=SUBMODULE)


async def test_the_home_is_out_of_reach(project, tmp_path):
    put(project, "var/.gitignore", "*\n")
    repo = await Repository.open(project / "var/git/x.git", project, keep_out=[project / "var"])
    agent = await Agent.start(repo, project / "var/agent_workspaces/tree")
    agent.put("var/agent_questions/answer.md", "yes\n")

    await refuses(repo, await agent.done(), **{"var/agent_questions/answer.md": applying.OUT})


async def test_a_path_that_a_sparse_checkout_leaves_out(repo, project, tmp_path):
    git(project, "sparse-checkout", "set", "--no-cone", "/kept.txt")
    agent = await Agent.start(repo, tmp_path / "sparse")
    agent.put("src/app.py", "by the agent\n")

    await refuses(repo, await agent.done(), **{"src/app.py": applying.ABSENT})
