"""
A home on disk: where things lie, who may read them, and that one daemon at a time serves it.
"""

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from factories import DAY, RUN, TASK
from orchestrd.errors import AlreadyRunning, StorageError
from orchestrd.storage.home import Home, private_folder, write_atomic


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.create()
    return home


def mode(path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_where_things_lie(tmp_path):
    home = Home(tmp_path)
    var = tmp_path / "var"
    assert list(tmp_path.iterdir()) == []
    assert home.database == var / "orchestrd.db"
    assert home.workspace(TASK) == var / "agent_workspaces" / DAY / "task-001"
    assert home.status_file(TASK) == var / "agent_status" / DAY / "task-001.json"
    assert home.run_dir(RUN) == var / "agent_logs" / DAY / "task-001" / "1"
    assert [home.question_file(TASK, n).name for n in (1, 2, 10)] == ["task-001.md", "task-001-2.md", "task-001-10.md"]
    assert [home.answer_file(TASK, n).name for n in (1, 2)] == ["task-001-answer.md", "task-001-2-answer.md"]
    assert home.report_file(DAY, "md") == var / "results" / f"{DAY}-report.md"


def test_everything_is_for_this_user_only(home):
    before = os.umask(0)
    try:
        home.create()
    finally:
        os.umask(before)
    folders = [path for path in home.var.rglob("*") if path.is_dir()]
    assert {path.name for path in folders} >= {"agent_workspaces", "agent_logs", "agent_questions", "results", "git"}
    assert {mode(path) for path in [home.var, *folders]} == {0o700}


def test_modes_that_were_loosened_are_mended(home):
    home.var.chmod(0o755)
    home.questions.chmod(0o777)
    home.create()
    assert mode(home.var) == mode(home.questions) == 0o700


def test_a_home_inside_a_project_is_no_part_of_its_work(home):
    assert (home.var / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_what_cannot_be_made_is_told(tmp_path):
    (tmp_path / "var").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be made ready"):
        Home(tmp_path).create()
    with pytest.raises(StorageError, match="cannot be made ready"):
        Home(tmp_path / "none").create()


class TestLock:
    def test_the_second_is_told_who_has_it(self, home):
        fd = home.lock()
        try:
            with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}\)") as caught:
                home.lock()
            assert caught.value.hint.startswith("Stop it first: orchctl daemon stop.")
            assert f"kill -9 {os.getpid()}" in caught.value.hint
            assert caught.value.exit_status == 75
            assert mode(home.lock_file) == 0o600
        finally:
            os.close(fd)
        os.close(home.lock())

    def test_a_stale_file_is_no_lock(self, home):
        home.lock_file.write_text("4194304 and a much longer line\n", encoding="utf-8")
        fd = home.lock()
        assert home.lock_file.read_text(encoding="utf-8") == f"{os.getpid()}\n"
        os.close(fd)

    def test_who_holds_it_for_a_moment_is_waited_for(self, home, monkeypatch):
        fd = home.lock("orchctl cancel")
        with ThreadPoolExecutor() as pool:
            second = pool.submit(home.lock)
            with pytest.raises(TimeoutError):
                second.result(0.1)
            os.close(fd)
            os.close(second.result(5))
        fd = home.lock("orchctl cancel")
        monkeypatch.setattr("orchestrd.storage.home.HOLD_SECONDS", 0.05)
        try:
            with pytest.raises(AlreadyRunning, match=rf"`orchctl cancel` is at work .*process {os.getpid()}\)"):
                home.lock()
        finally:
            os.close(fd)

    def test_a_killed_holder_holds_nothing(self, home):
        script = (
            "import sys, time; from pathlib import Path; from orchestrd.storage.home import Home\n"
            "Home(Path(sys.argv[1])).lock(); print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, home.root]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(AlreadyRunning, match=rf"process {holder.pid}\)"):
                home.lock()
            holder.kill()
        os.close(home.lock())

    def test_who_cannot_look_at_the_holder_says_so(self, home, monkeypatch):
        fd = home.lock()

        def short(*_):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr("orchestrd.storage.home.held", short)
        with pytest.raises(StorageError, match="cannot be seen now: Too many open files"):
            home.lock()
        os.close(fd)

    def test_a_child_does_not_inherit_it(self, home):
        fd = home.lock()
        command = [sys.executable, "-uc", "print('up'); input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
            assert child.stdout.readline() == b"up\n"
            os.close(fd)
            os.close(home.lock())
            child.communicate(b"\n")

    def test_a_link_is_not_followed(self, home, tmp_path):
        precious = tmp_path / "precious"
        precious.write_text("precious", encoding="utf-8")
        home.lock_file.symlink_to(precious)
        with pytest.raises(StorageError):
            home.lock()
        assert precious.read_text(encoding="utf-8") == "precious"

    def test_a_home_that_was_never_made(self, tmp_path):
        with pytest.raises(StorageError):
            Home(tmp_path / "none").lock()


class TestPrivateFolder:
    def test_it_is_made_with_all_above_it(self, tmp_path):
        private_folder(tmp_path / "a" / "b")
        assert mode(tmp_path / "a" / "b") == 0o700

    def test_a_loose_one_is_closed(self, tmp_path):
        (tmp_path / "a").mkdir(mode=0o755)
        private_folder(tmp_path / "a")
        assert mode(tmp_path / "a") == 0o700

    @pytest.mark.parametrize("kind", ["file", "link", "dangling"])
    def test_what_is_no_folder_is_refused(self, tmp_path, kind):
        place = tmp_path / "a"
        if kind == "file":
            place.write_text("", encoding="utf-8")
        elif kind == "link":
            (tmp_path / "real").mkdir()
            place.symlink_to("real")
        else:
            place.symlink_to("gone")
        with pytest.raises(StorageError, match="not a folder of this user"):
            private_folder(place)


class TestWriteAtomic:
    def test_whole_and_private(self, tmp_path):
        path = tmp_path / "a" / "x.json"
        for data in (b"one", b"two" * 100_000, b""):
            write_atomic(path, data)
            assert path.read_bytes() == data
            assert mode(path) == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["x.json"]

    def test_a_reader_of_the_old_one_keeps_it(self, tmp_path):
        path = tmp_path / "x"
        write_atomic(path, b"old")
        with path.open("rb") as reader:
            write_atomic(path, b"new")
            assert reader.read() == b"old"

    def test_a_link_is_replaced_not_followed(self, tmp_path):
        (tmp_path / "precious").write_bytes(b"precious")
        (tmp_path / "x").symlink_to("precious")
        write_atomic(tmp_path / "x", b"new")
        assert (tmp_path / "precious").read_bytes() == b"precious"
        assert (tmp_path / "x").read_bytes() == b"new"

    def test_a_failure_leaves_nothing_behind(self, tmp_path):
        (tmp_path / "x").mkdir()
        with pytest.raises(OSError):
            write_atomic(tmp_path / "x", b"new")
        assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_what_is_written_never_goes_through_a_link(tmp_path):
    """
    Not even one that lies where an earlier version wrote before it renamed.
    """
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.md", f".a.md.{os.getpid()}.new"):
        (folder / name).symlink_to(victim)
    write_atomic(folder / "a.md", b"ours")
    assert victim.read_text() == "precious"
    assert not (folder / "a.md").is_symlink()
    assert (folder / "a.md").read_text() == "ours"


def test_a_lock_that_is_no_file_is_told(home):
    os.mkfifo(home.lock_file)
    with pytest.raises(StorageError, match="not a regular file"):
        home.lock()
