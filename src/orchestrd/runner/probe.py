"""
Does a sandbox work here?  Found out by having one hold a shell that tries to get out.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrd.runner.sandbox import Ground, wrap
from orchestrd.runner.toolchain import system

PROBE_SECONDS = 15.0
HINT = (
    "Install bubblewrap (apt-get install bubblewrap) and let this user make user namespaces; "
    "or allow agents without a sandbox: agent.sandbox: auto or off in config/orchestrd.yaml."
)
TRIES = """\
T=$1 S=$2
echo in >"$T/file" && echo wrote
(echo out >"$T/.git") 2>/dev/null && echo sealed
[ -w /usr ] && echo usr
[ -w / ] && echo root
(echo out >"$S") 2>/dev/null && echo outside
[ -e "$S" ] && echo seen
(umount "$T/.git" || mount -o remount,rw,bind "$T/.git") >/dev/null 2>&1 && echo mounts
[ "$$" -lt 10 ] || echo processes
echo tried
"""
"""
Prints one word for everything that it can do, and at last that it has tried.  Where nothing holds it, it is this machine that it is let
loose on: it writes only what was made for it, and only asks about the rest.
"""


def find_bwrap(path: str) -> str | None:
    """
    Bubblewrap's program on *path*, as in PATH.
    """
    return shutil.which("bwrap", path=path)


async def probe(bwrap: str | None, var: Path, *, networked: bool) -> str:
    """
    Why no sandbox can be had with this *bwrap*, in one line; empty when one holds.  *var* is the home's, where it is tried.
    """
    if bwrap is None:
        return "bubblewrap (bwrap) is not installed"
    if not var.is_dir():
        # Before the first start: any place will do.
        var = Path(tempfile.gettempdir())
    folder = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="probe-", dir=var)))
    try:
        return await _try(bwrap, var, folder, networked=networked)
    finally:
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


async def _try(bwrap: str, var: Path, folder: Path, *, networked: bool) -> str:
    tree, secret = folder / "tree", folder / "secret"
    tree.mkdir()
    for file in (tree / ".git", secret):
        file.write_text("kept\n", encoding="ascii")
    folders, links = system()
    ground = Ground(
        tree=str(tree),
        var=str(var),
        system=folders,
        links=links,
        inner=(str(tree),),
        sealed=(str(tree / ".git"),),
        networked=networked,
    )
    argv = wrap(bwrap, ground, ["/bin/sh", "-c", TRIES, "sh", str(tree), str(secret)], tied=True)
    try:
        with anyio.fail_after(PROBE_SECONDS):
            done = await anyio.run_process(
                argv, check=False, stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
            )
    except TimeoutError:
        return f"bubblewrap gave no answer for {PROBE_SECONDS:.0f} seconds"
    except OSError as error:
        return f"{bwrap} cannot be run: {error.strerror}"
    words = done.stdout.decode("utf-8", "replace").split()
    if "tried" not in words:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        return f"bubblewrap does not work here: {said[:300] or f'exit status {done.returncode}'}"
    kept = all(file.read_text(encoding="ascii") == "kept\n" for file in (tree / ".git", secret))
    if words != ["wrote", "tried"] or not kept or not (tree / "file").is_file():
        return f"a sandbox of bubblewrap does not hold here: {', '.join(words) or 'files changed'}"
    return ""
