"""
Plant each declared bug in a copy of the program and see its test fail: ``python tests/faults/mutants.py [F07 …] [--list]``.

Exit status 1 when a bug survives, or when a test could not even be run; 2 for a row that has none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

FAULTS = Path(__file__).resolve().parent
sys.path.insert(0, str(FAULTS.parent))
sys.path.insert(0, str(FAULTS.parent / "acceptance"))
sys.path.insert(0, str(FAULTS))

from harness.mutant import Mutant, declared, files_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rows",
        nargs="*",
        help="rows of the fault table, such as F07, or tests, such as hostile_rundir; all when none is named",
    )
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    arguments = parser.parse_args()
    try:
        paths = files_of(arguments.rows)
    except ValueError as error:
        parser.error(str(error))
    chosen = [(path, mutant) for path in paths for mutant in declared(path)]
    survived = 0
    for path, mutant in chosen:
        name = f"{path.stem.removeprefix('test_').split('_')[0].upper():4} {mutant.what}"
        if arguments.list:
            print(f"{name}  [{mutant.file}; {mutant.test}]")
            continue
        began = time.monotonic()
        verdict, output = fate(path, mutant)
        survived += verdict != "killed"
        print(f"{verdict:9} {time.monotonic() - began:5.1f} s  {name}  [{mutant.test}]", flush=True)
        if verdict != "killed":
            print(output[-3000:], flush=True)
    if not arguments.list:
        print(f"{len(chosen) - survived} of {len(chosen)} mutants killed")
    return 1 if survived else 0


def fate(path: Path, mutant: Mutant) -> tuple[str, str]:
    """
    ``killed``, ``survived`` or ``unproved`` (it was skipped, or could not be run), and what the test run said.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
                f"--junitxml={report}",
                f"{path}::{mutant.test}",
            ],
            cwd=FAULTS.parents[1],
            env={**os.environ, "PYTHONPATH": str(mutant.plant(Path(folder)))},
            capture_output=True,
            text=True,
            check=False,
        )
        # Status 1 may also be a fixture that broke: only a test that ran and failed has found the bug.
        suites = list(ET.parse(report).iter("testsuite")) if report.exists() else []
        failures, skipped = (sum(int(suite.get(what, 0)) for suite in suites) for what in ("failures", "skipped"))
    if done.returncode == 0:
        return ("unproved" if skipped else "survived"), done.stdout
    return ("killed" if done.returncode == 1 and failures else "unproved"), done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
