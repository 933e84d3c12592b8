"""
The control socket, spoken by hand: what any program in any language would do.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any, Self


class RpcError(Exception):
    """
    The daemon answered with an error.
    """

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.data = error.get("data") or {}


class Link:
    """
    One connection.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60.0)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._held = b""
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, method: str, **params: Any) -> Any:
        """
        The method's result.  Raises `RpcError`.
        """
        self.ask(method, **params)
        while True:
            reply = self.line(60.0)
            if reply.get("id") == self._calls:
                if "error" in reply:
                    raise RpcError(reply["error"])
                return reply["result"]

    def ask(self, method: str, **params: Any) -> None:
        """
        Send a call, and do not wait for its result.
        """
        self._calls += 1
        request = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def line(self, timeout: float) -> dict[str, Any]:
        """
        The next line.  Raises `TimeoutError`, `EOFError`.
        """
        end = time.monotonic() + timeout
        while b"\n" not in self._held:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            chunk = self._socket.recv(1 << 18)
            if not chunk:
                raise EOFError("the daemon hung up")
            self._held += chunk
        line, _, self._held = self._held.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found
