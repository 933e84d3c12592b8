"""
Bringing work over: everything or nothing, and never a byte under ``.git``.
"""

import hashlib
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from blockbuster import blockbuster_ctx

from orchestrd.errors import Refused, StorageError
from orchestrd.workspace import apply as applying
from orchestrd.workspace import transaction, worktree
from orchestrd.workspace.apply import apply, plan, recover
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


@pytest.mark.parametrize("undone", ["by itself", "after a crash"])
async def test_a_failure_at_any_step_is_taken_back(repo, project, agent, tmp_path, monkeypatch, undone):
    variety(agent)
    put(project, "src/hollow/inner/.keep").unlink()
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
