"""
``python -m orchestrd.rehearsal SCENARIOS.yaml``: serve the rehearsal model until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import anyio

from orchestrd.errors import ConfigError, OrchestrdError, StorageError
from orchestrd.rehearsal.scenario_file import load_scenarios
from orchestrd.rehearsal.server import HOST, RehearsalServer


def main(argv: list[str] | None = None) -> int:
    """
    Exit status 0 after a signal, 78 for a bad scenario file, 74 when the port or the ready file cannot be had.
    """
    parser = argparse.ArgumentParser(
        prog="python -m orchestrd.rehearsal",
        description="A scripted Messages API on loopback that drives the real Claude Code CLI without an account.",
    )
    parser.add_argument("scenarios", type=Path, help="the scenario file (docs/REHEARSAL.md)")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="write the base URL here once it answers")
    options = parser.parse_args(argv)
    try:
        try:
            data = options.scenarios.read_bytes()
        except OSError as error:
            raise ConfigError(f"{options.scenarios}: {error.strerror}") from None
        scenarios = load_scenarios(data, str(options.scenarios))
    except OrchestrdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    server = RehearsalServer(scenarios, port=options.port)
    status = 0
    try:
        anyio.run(_serve, server, options.ready_file)
    except* OSError as group:
        status = StorageError.exit_status
        sys.stderr.write(f"{HOST}:{options.port}: {group.exceptions[0]}\n")
    return status


async def _serve(server: RehearsalServer, ready: Path | None) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as group:
            url = await group.start(server.run)
            if ready is not None:
                draft = ready.with_name(f".{ready.name}.{os.getpid()}")
                await anyio.Path(draft).write_text(f"{url}\n")
                await anyio.Path(draft).replace(ready)
            sys.stdout.write(f"listening on {url}\n")
            sys.stdout.flush()
            async for _ in signals:
                group.cancel_scope.cancel()


if __name__ == "__main__":
    raise SystemExit(main())
