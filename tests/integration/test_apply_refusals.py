"""
What ``apply`` refuses to touch, and that it says why.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from orchestrd.workspace import apply as applying
from orchestrd.workspace import worktree
from orchestrd.workspace.apply import apply, plan
from orchestrd.workspace.merge import (
    BOTH_CHANGED,
    BOTH_CREATED,
    DELETED_HERE,
    DELETED_THERE,
    KINDS,
    SUBMODULE,
    MergeConflict,
    Work,
)
from orchestrd.workspace.repository import Repository, ref_name

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _never_blocking():
    with blockbuster_ctx("orchestrd.workspace"):
        yield


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    home = tmp_path / "person"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # What the daemon inherits must not reach git.
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")


def git(cwd, *words, ok=True, stdin=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    identity = ("-c", "user.name=Person", "-c", "user.email=p@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *words], cwd=cwd, env=env, input=stdin, capture_output=True, check=False)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout


def put(root, path, content=b"content\n", mode=None):
    target = root / os.fsdecode(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        target.chmod(mode)
    return target


def image(root):
    """
    Every path of *root* with kind, mode and content, but for ``var``; the modification times do not count.
    """
    found = {}
    for folder, folders, files in os.walk(root):
        if "var" in folders:
            folders.remove("var")
        for name in (*folders, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if path.is_symlink():
                body = str(path.readlink())
            elif path.is_dir():
                body = ""
            elif not path.is_file():
                body = "odd"
            else:
                body = hashlib.sha256(path.read_bytes()).hexdigest()
            found[os.fsencode(path.relative_to(root))] = (mode, body)
    return found


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    put(root, "kept.txt", "one\ntwo\nthree\n")
    put(root, "src/app.py", "print('hello')\n")
    put(root, "run.sh", "#!/bin/sh\n", 0o755)
    put(root, ".gitignore", "*.log\nbuild/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


@pytest.fixture
async def repo(tmp_path, project):
    return await Repository.open(tmp_path / "home/var/git/one.git", project)


class Agent:
    """
    A worktree to change at will; ``done`` makes the work of it.
    """

    def __init__(self, repo, tree, base):
        self.repo = repo
        self.tree = tree
        self.base = base

    @classmethod
    async def start(cls, repo, tree, **how):
        base = await repo.base(message="base", ref=ref_name("day", tree.name, "base"), **how)
        await worktree.make(repo, tree, base.commit)
        return cls(repo, tree, base.commit)

    def put(self, *what):
        return put(self.tree, *what)

    async def done(self):
        ref = ref_name("day", self.tree.name, "result")
        result = await self.repo.snapshot(self.tree, parents=(self.base,), message="result", ref=ref)
        return Work(base=self.base, result=result.commit)


@pytest.fixture
async def agent(repo, tmp_path):
    return await Agent.start(repo, tmp_path / "tree")


async def bring(repo, *works):
    return await apply(repo, await plan(repo, works))


async def refuses(repo, work, **reasons):
    """
    Check that *work* is refused for these *reasons* by path, and that not a byte of the project changes.
    """
    before = image(repo.project), image(repo.project / ".git")
    made = await plan(repo, [work])
    assert {conflict.path: conflict.reason for conflict in made.conflicts} == reasons
    assert made.steps == ()
    with pytest.raises(MergeConflict) as raised:
        await apply(repo, made)
    assert set(raised.value.paths) == set(reasons)
    assert (image(repo.project), image(repo.project / ".git")) == before


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
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    put(other, "lib.c")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "lib")
    git(project, "submodule", "--quiet", "add", str(other), "sub")
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
