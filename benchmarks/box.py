"""
A box to try in what must not happen to a machine: the program in it sees the whole machine, and changes nothing of it.

Needs Linux with overlayfs, unshare(1) and root, or user namespaces.  Inside, ``/`` is an overlay whose upper layer is thrown
away; processes, mounts and the network are the box's own, and of the devices only harmless ones are there.  It holds accidents,
not adversaries: whoever is root in it and means it gets out.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

INSIDE = "ATTACK_BOX"
"""Set inside of a box, to where its upper layer lies."""
_LAYERS = "/var/lib/attack-box"
_PEOPLE = "/mnt"
"""Where what is besieged is made, and not in /tmp, which in a sandbox is an agent's own."""
_SCRIPT = r"""
set -e
mount --make-rprivate /
mkdir -p "$LAYERS"
mount -t tmpfs -o size=75% tmpfs "$LAYERS"
mkdir "$LAYERS/upper" "$LAYERS/work" "$LAYERS/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$LAYERS/upper,workdir=$LAYERS/work" "$LAYERS/root"
cd "$LAYERS/root"
mount -t proc proc proc
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p ".$TMPDIR"
mount -t tmpfs -o mode=755 tmpfs ".$TMPDIR"
case $WHERE in /tmp/*)
    mkdir -p ".$WHERE"
    mount --bind "$WHERE" ".$WHERE"
    mount -o remount,bind,ro ".$WHERE"
esac
mount -t tmpfs -o mode=755 tmpfs dev
for one in null zero full random urandom tty; do : > dev/$one; mount --bind /dev/$one dev/$one; done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
for one in stdin:0 stdout:1 stderr:2; do ln -s /proc/self/fd/${one#*:} dev/${one%:*}; done
mkdir -p ./"$LAYERS"/upper
mount --bind "$LAYERS/upper" ./"$LAYERS/upper"
mount -o remount,bind,ro ./"$LAYERS/upper"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
ip link set lo up
cd "$WHERE"
"$@"
exit $?
"""


def available() -> str:
    """
    Why there can be no box here; empty when there can.
    """
    missing = [name for name in ("unshare", "pivot_root", "ip", "mount") if shutil.which(name) is None]
    if missing:
        return f"there is no {missing[0]}"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        return "this kernel has no overlayfs"
    return ""


def enter() -> None:
    """
    Go on with this very program inside of a box; returns when it is in one.
    """
    if INSIDE in os.environ:
        return
    command = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    command += ["sh", "-c", _SCRIPT, "box", sys.executable, *sys.argv]
    environ = {**os.environ, "LAYERS": _LAYERS, "WHERE": str(Path.cwd()), INSIDE: f"{_LAYERS}/upper", "TMPDIR": _PEOPLE}
    os.execvpe(command[0], command, environ)


def touched() -> set[str]:
    """
    Every path of the machine that was changed in the box until now, temporary folders left out.
    """
    upper = Path(os.environ[INSIDE])
    found = set()
    for folder, names, files in os.walk(upper):
        for name in (*names, *files):
            path = Path(folder, name)
            if (name in files or not any(path.iterdir())) and path != upper:
                found.add(f"/{path.relative_to(upper)}")
    return found
