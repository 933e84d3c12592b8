"""
Attacks through the real CLI, and the daily work: a part of what ``benchmarks/attacks.py`` tries whole.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "attacks.py"
NO_BOX = 2
"""Its exit status where nothing can be tried that must not last."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sample", [("--attacks", "16", "--honest", "0"), ("--attacks", "0", "--honest", "40")])
def test_nothing_gets_through_and_nobody_is_hindered(sample):
    command = [sys.executable, str(BENCHMARK), "--columns", "both,sandbox", *sample]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NO_BOX:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
