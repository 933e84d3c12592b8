"""
A real ``systemd --user`` of a test's own, in private namespaces: it can neither see nor touch the machine's.

Root is read-only but for one folder, ``/run`` and ``/tmp`` are empty, the network is private, and everything it starts
lies in a control group that is killed as a whole.  It is never started over the shared root: systemd-tmpfiles would empty
the machine's ``/tmp``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
PROGRAMS = ("bwrap", "unshare", "systemctl", "systemd-run", "systemd-analyze")


def cgroup_root() -> Path | None:
    """
    Where the unified control group hierarchy is mounted.
    """
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(folder)
    return None


def require() -> None:
    """
    Skip the test where no such manager can be had; in CI, fail it.
    """
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    groups = cgroup_root()
    if os.getuid() != 0:
        why = "private namespaces and a control group need root"
    elif lacking or not SYSTEMD.exists():
        why = f"not installed: {', '.join(lacking) or SYSTEMD} (apt-get install systemd bubblewrap)"
    elif groups is None or not os.access(groups, os.W_OK):
        why = "no writable cgroup2 hierarchy is mounted"
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def code_path() -> list[str]:
    """
    The folders from which this process was told to take the program.
    """
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path).is_dir()]


class UserManager:
    """
    Runs while it is open; *root* is all it may write to, *environ* names its user's home and runtime folder.
    """

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        self.root = root
        self.environ = {name: environ[name] for name in ("PATH", "HOME", "XDG_RUNTIME_DIR")}
        groups = cgroup_root()
        assert groups is not None
        self.group = groups / f"orchestrd-test-{uuid.uuid4().hex[:8]}"
        self.group.mkdir()
        self._log = (root / "manager.log").open("wb")
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._boot()
        except BaseException:
            self.close()
            raise

    def _boot(self) -> None:
        address = self.root / "manager.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(address))
            self.process = subprocess.Popen(
                ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.group), *self._command(address)],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
            end = time.monotonic() + 60
            while True:
                told.settimeout(max(0.01, end - time.monotonic()))
                if b"READY=1" in told.recv(4096).split(b"\n"):
                    return

    def _command(self, notify: Path) -> list[str]:
        return [
            *("unshare", "--cgroup", "--mount", "--propagation", "private", "--"),
            *("bwrap", "--die-with-parent", "--unshare-net", "--unshare-ipc"),
            *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp"),
            *("--dir", "/run/systemd/system", "--bind", str(self.root), str(self.root)),
            # The code under test, where that is not the installed one: a mutant's.
            *(word for path in code_path() for word in ("--ro-bind", path, path)),
            *("--bind", str(self.group), "/sys/fs/cgroup", "--clearenv"),
            *(word for name, value in self.environ.items() for word in ("--setenv", name, value)),
            *("--setenv", "NOTIFY_SOCKET", str(notify)),
            *(str(SYSTEMD), "--user", "--unit=basic.target", "--log-target=console"),
        ]

    def close(self) -> None:
        """
        End everything that was ever started here.
        """
        (self.group / "cgroup.kill").write_text("1")
        if self.process is not None:
            self.process.wait(30)
        self._log.close()
        end = time.monotonic() + 30
        while True:
            try:
                for folder in sorted(self.group.rglob("*/"), reverse=True):
                    folder.rmdir()
                self.group.rmdir()
            except OSError:
                # The kernel takes a moment to let go of what it has killed, and tells nobody when it has.
                if time.monotonic() > end:
                    raise
            else:
                break
        sys.stdout.write(f"--- manager\n{(self.root / 'manager.log').read_text(errors='replace')[-5000:]}")

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """
        What ``systemctl --user`` says.
        """
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0 or not check, done
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """
        One property of a unit.
        """
        return self.systemctl("show", unit, f"--property={name}", "--value")
