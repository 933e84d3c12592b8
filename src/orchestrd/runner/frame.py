"""
What of ours is around an agent: its sandbox's two processes, its gateway outside and the way there inside.

Standard library only, and importable by path: a part of the shim.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrd.runner.processes import below, comm, kill
else:
    from processes import below, comm, kill

PORT_MARK = "@GATEWAY_PORT@"
"""In the environment of a spec: the port of the gateway; see `orchestrd.runner.sandbox`."""
READY_SECONDS = 10.0
"""How long a gateway may take to listen, and a sandbox to have the agent in it."""
PAUSE = 2
"""Milliseconds between two looks whether the agent is there."""
BRIDGE = "orchestrd-gate"
"""What the way out calls itself, see `orchestrd.runner.bridge`."""


class Frame:
    """
    Made before the agent is started; *agent* and *around* are process ids, known once `find` has looked.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        """
        Start what the agent needs besides.

        Raises `OSError`, `RuntimeError` with what the gateway said when it does not come up.
        """
        self.environ: dict[str, str] = spec["env"]
        self.around: set[int] = set()
        self.agent = 0
        self._framed = bool(spec.get("framed"))
        self._bridged = "--unshare-net" in spec["argv"] and bool(spec.get("gateway"))
        self._gateway: subprocess.Popen[bytes] | None = None
        self._listens = "tcp"
        if spec.get("gateway"):
            self._listens = spec["gateway"]["listen"]
            port = self._start(spec["gateway"])
            self.environ = {name: value.replace(PORT_MARK, port) for name, value in self.environ.items()}

    def _start(self, orders: dict[str, Any]) -> str:
        """
        Start the gateway; gives its port.
        """
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway.py")
        # The mark, by which it is found should this process be killed; and what it may need to find an address or a certificate.
        kept = ("ORCHESTRD_RUN_DIR", "SSL_CERT_FILE", "LANG")
        env = {"PATH": os.defpath, **{name: self.environ[name] for name in kept if name in self.environ}}
        self._gateway = gateway = subprocess.Popen(
            [sys.executable, "-I", "-S", script],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.around.add(gateway.pid)
        if gateway.stdin is None or gateway.stdout is None:
            raise RuntimeError("the gateway has no pipes")
        # Held open for as long as this process lives: its end tells the gateway.
        gateway.stdin.write(json.dumps(orders).encode() + b"\n")
        gateway.stdin.flush()
        ready, _, _ = select.select([gateway.stdout], [], [], READY_SECONDS)
        words = gateway.stdout.readline().decode("ascii", "replace").split() if ready else []
        if words[:1] != ["ready"]:
            self.close()
            raise RuntimeError("the agent's way to the API could not be made: see shim.log")
        gateway.stdout.close()
        return words[1]

    def find(self, started: int) -> None:
        """
        Find the agent in what was *started*: itself, or in a sandbox the first process inside.  What is not there in time, or not
        any more, is taken for the process that was started.
        """
        self.agent = started
        if not self._framed:
            return
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and state(started) not in ("", "Z"):
            inside = {pid: inner_pid(pid) for pid in below(started)}
            first = [pid for pid, number in inside.items() if number == 2]
            bridge = [pid for pid in inside if comm(pid) == BRIDGE]
            if first and (bridge or not self._bridged) and comm(first[0]) != comm(started):
                self.agent = first[0]
                self.around |= {started, *(pid for pid, number in inside.items() if number == 1), *bridge}
                return
            select.select([], [], [], PAUSE / 1000)

    def close(self) -> None:
        """
        End the gateway.
        """
        gateway, self._gateway = self._gateway, None
        if gateway is None:
            return
        if gateway.stdin is not None:
            gateway.stdin.close()
        if gateway.pid in below(os.getpid()):
            kill([gateway.pid])
        if self._listens != "tcp":
            with contextlib.suppress(OSError):
                os.unlink(self._listens)


def state(pid: int) -> str:
    """
    The state of a process (proc(5)); empty when it is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return ""


def inner_pid(pid: int) -> int:
    """
    Its number in the innermost process namespace it is in (proc(5), ``NSpid``), 0 when it is gone or in none of its own.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    numbers = line.split()[1:]
                    return int(numbers[-1]) if len(numbers) > 1 else 0
    except OSError:
        pass
    return 0
