"""
The C library's heap, in a process of its own: its size is what the kernel says.
"""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
from orchestrd import heap

def rss():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1])

heap.share()
before = rss()
# Too large for Python's own pools; one in a hundred is kept, as the rows of ended runs are among what they were made from.
kept = [bytes(2000) for _ in range(20_000)][::100]
left = rss() - before
heap.trim()
print(left, rss() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_the_holes_between_what_is_kept_are_given_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    left, after = map(int, done.stdout.split())
    assert left > 30_000, "nothing to be given back: the test shows nothing"
    assert after < left / 4
