"""
A tree as it was: what a snapshot of the whole of it holds, and what comes back of it, with the real git on real files.
"""

import os
import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from gitworld import files, git, image, nest, put, started
from orchestrd.errors import Refused, StorageError
from orchestrd.services import preparation
from orchestrd.workspace import descent, ignored, listing, restoring, snapshots, worktree
from orchestrd.workspace.repository import Snapshot

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]

ODD = ["with space.txt", "naïve-文字.txt", "new\nline\ttab", "-dash", '"quoted"', "a/b/c/deep", b"latin-\xe9"]


async def kept(repo, tree: Path, base: str, **how) -> Snapshot:
    taken = await snapshots.look(repo, tree, base=base, max_file=how.pop("max_file", 0))
    return await snapshots.keep(repo, taken, tree, task="day/t", base=base, about="kept")


def held(repo, snapshot: Snapshot) -> set[bytes]:
    return set(git(repo.path, "ls-tree", "-r", "-z", "--name-only", snapshot.commit).rstrip(b"\0").split(b"\0"))


async def back(repo, tree: Path, base: str, snapshot: Snapshot) -> int:
    before = await kept(repo, tree, base)
    return await restoring.restore(repo, tree, before=before.commit, commit=snapshot.commit)


def rich(tree: Path) -> None:
    for name in ODD:
        put(tree, name, os.fsencode(name) + b"\0\xff\r\n")
    put(tree, "tool", "x", 0o755)
    put(tree, ".env.local", "TOKEN=1\n", 0o600)
    put(tree, "noise.log", "ignored\n")
    put(tree, "build/small/out.o", "ignored\n")
    (tree / "dangling").symlink_to("no/such\nplace")
    (tree / "outside").symlink_to("/etc")
    (tree / "empty/inner").mkdir(parents=True)
    put(tree, "kept.txt", "changed\n")
    (tree / "run.sh").unlink()


@pytest.fixture
def powerless(monkeypatch):
    """
    No daemon that is root: what is closed to its owner is closed to it, also for the git that it starts.
    """
    real_open, real_access = os.open, os.access

    def lets(status, bits) -> bool:
        return status.st_mode & bits == bits

    def opens(path, flags, mode=0o777, *, dir_fd=None):
        if dir_fd is not None and path != ".." and not flags & os.O_PATH:
            status = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode) and not lets(status, 0o400):
                raise PermissionError(13, "Permission denied")
        return real_open(path, flags, mode, dir_fd=dir_fd)

    def access(path, mode, *, dir_fd=None, **how):
        return lets(os.fstat(dir_fd), 0o500) if path == "." else real_access(path, mode, dir_fd=dir_fd, **how)

    monkeypatch.setattr(os, "open", opens)
    monkeypatch.setattr(os, "access", access)


@pytest.fixture
def not_ours(monkeypatch):
    """
    And nothing that is closed is its own.
    """

    def refuses(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("orchestrd.workspace.descent.grant", refuses)


@pytest.mark.usefixtures("powerless")
async def test_what_is_closed_to_its_owner_is_kept(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "new/work.py")
    put(tree, "src/made.py", "x", 0)
    put(tree, "secret.log", "x", 0)
    (tree / "new").chmod(0)
    snapshot = await kept(repo, tree, base.commit)
    assert {b"new/work.py", b"src/made.py", b"secret.log"} <= held(repo, snapshot)
    assert snapshot.left_out == ()
    await worktree.remove(repo, await worktree.prove(repo, tree))
    assert not tree.exists()


async def test_what_cannot_be_read_is_named_and_stays(repo, project, tmp_path, powerless, request):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    request.getfixturevalue("not_ours")
    put(tree, "new/work.py")
    put(tree, "src/made.py", "x", 0)
    put(tree, "build/secret", "x")
    (tree / "build").chmod(0)
    (tree / "new").chmod(0)
    snapshot = await kept(repo, tree, base.commit)
    assert snapshot.left_out == ("build/", "new/", "src/made.py")
    assert {b"kept.txt", b"src/app.py"} <= held(repo, snapshot)
    with pytest.raises(Refused, match="build/"):
        await worktree.prove(repo, tree)
    assert (tree / "new/work.py").exists()


async def test_a_tree_is_only_removed_when_all_in_it_was_seen(repo, project, tmp_path, monkeypatch):
    """
    Whatever git passed over.
    """
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "new/work.py")
    real = listing._present
    monkeypatch.setattr(listing, "_present", lambda top, paths: [p for p in real(top, paths) if p[:4] != b"new/"])
    await kept(repo, tree, base.commit)
    with pytest.raises(Refused, match=r"new/work\.py"):
        await worktree.prove(repo, tree)


@pytest.fixture
def tree(tmp_path):
    """
    Where a deep tree may be left: pytest's own removal would end in a RecursionError, in a later run of the tests.
    """
    yield tmp_path / "tree"
    for place in (tmp_path / "tree", tmp_path / "tmp"):
        if place.exists():
            descent.remove(place)


async def test_folders_in_folders_are_kept_put_back_and_removed(repo, project, tmp_path, tree):
    base = await started(repo, tree)
    await anyio.to_thread.run_sync(nest, tree, "deep", "d", 1300)
    await anyio.to_thread.run_sync(nest, tree, "empty", "d", 1300, "")
    snapshot = await kept(repo, tree, base.commit)
    assert b"deep" + b"/d" * 1300 + b"/f" in held(repo, snapshot)
    await worktree.remove(repo, await worktree.prove(repo, tree))
    assert not tree.exists()
    await worktree.make(repo, tree, base.commit)
    assert await back(repo, tree, base.commit, snapshot) == 1
    assert (await kept(repo, tree, base.commit)).tree_id == snapshot.tree_id
    assert list(tmp_path.glob(".restore-*")) == []


async def test_what_lies_too_deep_is_named_and_can_be_moved_away(repo, project, tmp_path, tree):
    base = await started(repo, tree)
    put(tree, "precious.txt")
    await anyio.to_thread.run_sync(nest, tree, "deep", "d" * 200, 60)
    snapshot = await kept(repo, tree, base.commit)
    assert b"precious.txt" in held(repo, snapshot)
    (left,) = snapshot.left_out
    assert left.startswith("deep/dd")
    assert left.endswith("d/")
    with pytest.raises(Refused, match="no snapshot can"):
        await worktree.prove(repo, tree)
    (tmp_path / "tmp").mkdir()
    place = await anyio.to_thread.run_sync(preparation._move_out, tree, snapshot.left_out)
    assert (place / left).is_dir()
    await worktree.remove(repo, await worktree.prove(repo, tree))


async def test_what_lies_outside_is_never_read(repo, project, tmp_path, monkeypatch):
    """
    A folder is changed into a link after it was listed; and before it is read, wherever that is.
    """
    tree, person = tmp_path / "tree", tmp_path / "person-ssh"
    base = await started(repo, tree)
    put(person, "id_rsa", "private")
    put(tree, "d/id_rsa", "nothing")
    real = listing._present

    def present(*what):
        found = real(*what)
        (tree / "d").rename(tree / "e")
        (tree / "d").symlink_to(person)
        return found

    monkeypatch.setattr(listing, "_present", present)
    snapshot = await kept(repo, tree, base.commit)
    assert b"d/id_rsa" not in held(repo, snapshot)
    # Nor is it in our repository at all.
    private = git(repo.path, "hash-object", "--stdin", stdin=b"private").decode().strip()
    assert git(repo.path, "cat-file", "-t", private, ok=False) == b""


async def test_a_folder_that_becomes_a_link_while_it_is_read_leads_nowhere(repo, project, tmp_path, monkeypatch):
    tree, person = tmp_path / "tree", tmp_path / "person-ssh"
    base = await started(repo, tree)
    put(person, "id_rsa", "private")
    put(tree, "d/id_rsa", "nothing")
    real = descent.Descent.file

    def file(at, name):
        if name == b"id_rsa" and not (tree / "e").exists():
            (tree / "d").rename(tree / "e")
            (tree / "d").symlink_to(person)
        return real(at, name)

    monkeypatch.setattr(descent.Descent, "file", file)
    snapshot = await kept(repo, tree, base.commit)
    assert (tree / "d").is_symlink()
    assert git(repo.path, "show", f"{snapshot.commit}:d/id_rsa") == b"nothing"
    private = git(repo.path, "hash-object", "--stdin", stdin=b"private").decode().strip()
    assert git(repo.path, "cat-file", "-t", private, ok=False) == b""


async def test_everything_that_was_deleted_comes_back(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, ".gitignore", "*.log\nbuild/\n.env.local\n")
    rich(tree)
    before = image(tree, without=(".git",))
    snapshot = await kept(repo, tree, base.commit)

    for path in sorted(tree.rglob("*"), reverse=True):
        if ".git" not in path.parts:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    await back(repo, tree, base.commit, snapshot)

    assert image(tree, without=(".git",)) == before


async def test_a_restore_is_undone_by_another(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    rich(tree)
    first = await kept(repo, tree, base.commit)
    put(tree, "src/app.py", "print('later')\n")
    (tree / "tool").unlink()
    put(tree, "tool/now/a/folder.txt")
    (tree / "a/b/c/deep").unlink()
    (tree / "a/b/c").rmdir()
    put(tree, "a/b/c", "a file in a folder's place")
    later = image(tree, without=(".git",))
    second = await kept(repo, tree, base.commit)

    assert await back(repo, tree, base.commit, first) > 0
    assert (tree / "tool").read_bytes() == b"x"
    assert (tree / "a/b/c/deep").is_file()
    await back(repo, tree, base.commit, second)

    assert image(tree, without=(".git",)) == later


async def test_what_is_too_large_is_named_and_left_alone(repo, project, tmp_path, monkeypatch):
    monkeypatch.setattr(ignored, "FOLDER_FILES", 5)
    monkeypatch.setattr(ignored, "FILE_BYTES", 1000)
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, ".gitignore", "*.log\nbuild/\nnode_modules/\n")
    for number in range(9):
        put(tree, f"node_modules/p{number}/index.js")
    put(tree, "build/out.o", "small")
    put(tree, "huge.log", "x" * 2000)
    put(tree, "grown.txt", "x" * 5000)
    snapshot = await kept(repo, tree, base.commit, max_file=4000)

    assert set(snapshot.passed_over) == {"node_modules/", "huge.log"}
    assert snapshot.left_out == ("grown.txt",)
    assert b"build/out.o" in held(repo, snapshot)
    (tree / "build/out.o").unlink()
    await back(repo, tree, base.commit, snapshot)

    assert (tree / "build/out.o").read_text() == "small"
    assert len(list((tree / "node_modules").iterdir())) == 9
    assert (tree / "huge.log").stat().st_size == 2000


async def test_a_hostile_tree_harms_nobody(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    outside = put(tmp_path / "outside", "precious.txt", "precious\n")
    put(tree, ".gitignore", "pipe\nlogs/\n")
    os.mkfifo(tree / "pipe")
    os.mkfifo(tree / "open-pipe")
    (tree / "logs").symlink_to(outside.parent)
    git(tree, "init", "-q", "nested")
    put(tree, "nested/work.txt")
    (tree / "closed").mkdir()
    put(tree, "closed/x")
    with anyio.fail_after(60):
        snapshot = await kept(repo, tree, base.commit)
        # The folder of a file is led elsewhere before it comes back.
        (tree / "src/app.py").unlink()
        (tree / "src").rmdir()
        (tree / "src").symlink_to(outside.parent)
        await back(repo, tree, base.commit, snapshot)

    assert held(repo, snapshot) >= {b"nested/work.txt", b"logs"}
    assert not (tree / "src").is_symlink()
    assert (tree / "src/app.py").read_text() == "print('hello')\n"
    assert [path.name for path in outside.parent.iterdir()] == ["precious.txt"]
    assert stat.S_ISFIFO((tree / "pipe").lstat().st_mode)


async def test_a_folder_of_its_own(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    rich(tree)
    snapshot = await kept(repo, tree, base.commit)
    git(project, "status")
    before = image(project)

    await restoring.export(repo, tmp_path / "new", commit=snapshot.commit)

    assert files(tmp_path / "new") == files(tree)
    assert image(project) == before
    with pytest.raises(Refused, match="not an empty folder"):
        await restoring.export(repo, tree, commit=snapshot.commit)
    with pytest.raises(Refused, match="cannot be made"):
        await restoring.export(repo, tmp_path / "no/such/folder", commit=snapshot.commit)


async def test_what_is_in_the_way_is_told(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "place", "a file\n")
    snapshot = await kept(repo, tree, base.commit)
    (tree / "place").unlink()
    (tree / "place").mkdir()
    os.mkfifo(tree / "place" / "pipe")

    with pytest.raises(StorageError, match="not put back: place"):
        await back(repo, tree, base.commit, snapshot)

    assert (tree / "place").is_dir()


async def test_the_project_itself_is_kept_with_what_it_ignores(repo, project, tmp_path):
    put(project, ".env.local")
    put(project, "noise.log")
    put(project, "src/app.py", "changed\n")
    base = await repo.base(message="base")

    snapshot = await kept(repo, project, base.commit)

    assert held(repo, snapshot) >= {b".env.local", b"noise.log"}
    assert git(repo.path, "show", f"{snapshot.commit}:src/app.py") == b"changed\n"


async def test_old_ones_go_and_the_repository_stays_small(repo, project, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    monkeypatch.setattr(snapshots, "LOOSE_OBJECTS", 3)
    monkeypatch.setattr(snapshots, "GRACE", "now")
    put(tree, "a.txt", "first\n")
    first = await kept(repo, tree, base.commit)
    put(tree, "a.txt", "second\n")
    second = await kept(repo, tree, base.commit)

    await snapshots.drop(repo, [snapshots.snapshot_ref("day/t", first.commit)])
    assert await snapshots.pack(repo)

    assert not await repo.holds(first.commit)
    assert await repo.refs(snapshots.snapshots_ref("day/t")) == [snapshots.snapshot_ref("day/t", second.commit)]
    assert git(repo.path, "fsck", "--strict") == b""
    assert not await snapshots.pack(repo)
    # What was thrown away may be wanted again at once.
    put(tree, "a.txt", "first\n")
    again = await kept(repo, tree, base.commit)
    assert git(repo.path, "show", f"{again.commit}:a.txt") == b"first\n"


async def test_a_tree_is_only_expendable_once_all_of_it_is_kept(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "secret.log", "ignored\n")
    with pytest.raises(TypeError):
        worktree.Expendable(tree, None, seal=object())
    with pytest.raises(Refused, match="no snapshot"):
        await worktree.prove(repo, tree)
    snapshot = await kept(repo, tree, base.commit)

    assert (await worktree.prove(repo, tree)).commit == snapshot.commit
    blob = git(repo.path, "rev-parse", f"{snapshot.commit}:secret.log").decode().strip()
    (repo.path / "objects" / blob[:2] / blob[2:]).unlink()

    with pytest.raises(Refused, match="no snapshot"):
        await worktree.prove(repo, tree)
