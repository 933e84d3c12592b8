"""
Bringing work over: everything or nothing, and never a byte under ``.git``.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from orchestrd.workspace import apply as applying
from orchestrd.workspace import worktree
from orchestrd.workspace.apply import apply, plan
from orchestrd.workspace.merge import (
    DELETED_HERE,
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


def files(root):
    """
    Paths of the files and links of *root* with their contents, without ``.git``.
    """
    return {
        path: (mode & 0o170100, body)
        for path, (mode, body) in image(root).items()
        if path.split(b"/")[0] != b".git" and mode & 0o170000 != 0o040000
    }


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
    git(project, "checkout", "-qb", "side")
    put(project, "kept.txt", "side\n")
    git(project, "commit", "-qam", "side")
    git(project, "checkout", "-q", "main")
    put(project, "kept.txt", "main\n")
    git(project, "commit", "-qam", "main")
    git(project, "merge", "side", ok=False)
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
        before = image(here.project / ".git")
        assert (await bring(here, await who.done())).created == ("first.txt",)
        assert image(here.project / ".git") == before
