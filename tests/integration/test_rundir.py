"""
A run's directory as files: whole lines only, and liveness by lock.
"""

import fcntl
import os
import stat

import msgspec
import pytest

from factories import RUN
from orchestrd.storage.rundir import ExitRecord, RunDir, RunSpec
from orchestrd.storage.spool import SPOOL_LIMIT, Spoiled

SPEC = RunSpec(run=RUN, argv=["/bin/true"], cwd="/", env={"A": "b"})


@pytest.fixture
def rundir(tmp_path):
    rundir = RunDir(tmp_path / "runs" / "1")
    rundir.create(SPEC)
    return rundir


def test_the_spec_is_written_once_and_privately(rundir):
    assert rundir.read_spec() == SPEC
    assert stat.S_IMODE(rundir.spec.stat().st_mode) == 0o600
    assert stat.S_IMODE(rundir.path.stat().st_mode) == 0o700


def test_a_run_that_was_never_started(tmp_path):
    rundir = RunDir(tmp_path / "none")
    assert rundir.read_spec() is None
    assert rundir.exit_record() is None
    assert rundir.sent() == b""
    assert not rundir.shim_alive()
    assert not rundir.agent_alive()
    assert rundir.tell("stop 1") is False


class TestSend:
    def test_lines_are_added(self, rundir):
        rundir.send(b"one\n")
        rundir.send(b"two\nthree\n")
        assert rundir.sent() == b"one\ntwo\nthree\n"
        assert stat.S_IMODE(rundir.stdin.stat().st_mode) == 0o600

    @pytest.mark.parametrize("torn", [b"x", b'{"type":"us', b"\xff", b"y" * 200_000])
    @pytest.mark.parametrize("before", [b"", b"one\n", b"z" * 65536 + b"\n", b"a\n" * 70_000])
    def test_a_line_that_was_cut_off_is_taken_back(self, rundir, before, torn):
        rundir.stdin.write_bytes(before + torn)
        rundir.send(b"two\n")
        assert rundir.sent() == before + b"two\n"

    def test_a_large_message_goes_whole(self, rundir):
        line = b"x" * 3_000_000 + b"\n"
        rundir.send(line)
        assert rundir.sent() == line

    def test_what_another_process_of_ours_added_stays(self, rundir):
        rundir.send(b"one\n")
        RunDir(rundir.path).send(b"interrupt\n")
        with rundir.stdin.open("ab") as spool:
            spool.write(b"torn")
        rundir.send(b"two\n")
        assert rundir.sent() == b"one\ninterrupt\ntwo\n"

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda path: os.truncate(path, 1 << 41), "is longer than what was written"),
            (lambda path: path.unlink(), "is gone"),
            (lambda path: (path.unlink(), path.mkdir()), "was replaced"),
            (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "was replaced"),
            (lambda path: (path.unlink(), os.mkfifo(path)), "was replaced"),
            (lambda path: (path.rename(path.with_name("aside")), path.touch()), "was replaced"),
            (lambda path: os.truncate(path, 2), "is shorter than what was written"),
        ],
    )
    def test_nothing_is_written_into_a_file_that_is_not_ours_any_more(self, rundir, spoil, why, known):
        rundir.send(b"one\ntwo\n")
        spoil(rundir.stdin)
        writer = rundir if known else RunDir(rundir.path)
        if known:
            assert writer.spool.damage() == why
        try:
            writer.send(b"three\n")
        except Spoiled as error:
            assert str(error) == why
        else:
            # Who knows nothing of what was there takes what is there.
            assert not known
            assert writer.sent() == b"three\n"

    def test_more_than_is_ever_said_is_not_said(self, rundir, monkeypatch):
        monkeypatch.setattr("orchestrd.storage.spool.SPOOL_LIMIT", 10)
        rundir.send(b"12345678\n")
        with pytest.raises(Spoiled, match="longer than what is said"):
            rundir.send(b"x\n")
        assert rundir.spool.lines() == b"12345678\n"

    def test_only_what_may_be_ours_is_read(self, rundir):
        rundir.send(b"one\n")
        os.truncate(rundir.stdin, 1 << 41)
        with pytest.raises(Spoiled, match="is longer than what was written"):
            rundir.spool.lines()
        assert len(rundir.sent()) == SPOOL_LIMIT


class TestTell:
    def test_commands_go_one_a_line(self, rundir):
        os.mkfifo(rundir.control)
        fd = os.open(rundir.control, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert rundir.tell("eof")
            assert rundir.tell("stop 2.5")
            assert os.read(fd, 100).split() == [b"eof", b"stop", b"2.5"]
        finally:
            os.close(fd)

    def test_nobody_listens(self, rundir):
        os.mkfifo(rundir.control)
        assert rundir.tell("eof") is False
        rundir.send(b"one\n")
        assert rundir.sent() == b"one\n"

    def test_somebody_listens_but_does_not_read(self, rundir):
        os.mkfifo(rundir.control)
        fd = os.open(rundir.control, os.O_RDWR | os.O_NONBLOCK)
        try:
            for _ in range(10_000):
                assert rundir.tell("input")
        finally:
            os.close(fd)

    def test_the_listener_leaves_in_between(self, rundir, monkeypatch):
        os.mkfifo(rundir.control)
        fd = os.open(rundir.control, os.O_RDONLY | os.O_NONBLOCK)
        real = os.write

        def late(target, data):
            os.close(fd)
            return real(target, data)

        monkeypatch.setattr("orchestrd.storage.rundir.os.write", late)
        assert rundir.tell("eof") is False


class TestAlive:
    @pytest.mark.parametrize("which", ["shim", "agent"])
    def test_as_long_as_the_lock_is_held(self, rundir, which):
        path, alive = {
            "shim": (rundir.shim_lock, rundir.shim_alive),
            "agent": (rundir.agent_lock, rundir.agent_alive),
        }[which]
        assert not alive()
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        assert not alive()
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert alive()
        assert alive()
        os.close(fd)
        assert not alive()

    def test_looking_takes_no_lock(self, rundir):
        fd = os.open(rundir.shim_lock, os.O_RDWR | os.O_CREAT)
        try:
            assert not rundir.shim_alive()
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)


def test_how_it_ended(rundir):
    record = ExitRecord(version=1, exit_code=0, started_at=1.0, ended_at=2.0, leftovers=["sleep"])
    rundir.exit.write_bytes(msgspec.json.encode(record))
    assert rundir.exit_record() == record


def test_a_directory_that_is_barred_was_never_begun(rundir):
    assert rundir.given_up() is None
    assert rundir.bar("no such program")
    assert not rundir.started()
    assert rundir.bar("another reason")
    assert rundir.given_up() == "no such program"


def test_what_an_agent_wrote_in_place_of_a_reason_is_bounded_and_printable(rundir):
    rundir.barred.write_bytes(b"\x1b[31m\xff\x00no\n" * 100_000)
    reason = rundir.given_up()
    assert len(reason) <= 1000
    assert reason.isprintable()


def test_a_directory_in_which_an_agent_was_cannot_be_barred(rundir):
    rundir.exit.write_text("{}")
    assert not rundir.bar()
    assert rundir.started()
    assert not rundir.barred.exists()
