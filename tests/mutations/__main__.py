"""`python -m tests.mutations [WORD]`: make each fault in a copy of the project and run the tests that must find it.

WORD chooses the faults whose name holds it. Ends with 1 if a fault is not found, or if its text is not in its file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutations.mutations import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.mutations.mutations import Mutation

_ROOT = Path(__file__).parents[2]
_COPIED = ("ovnqos", "daemon", "bench", "docs", "tests", "pyproject.toml", "README.md", "docker-compose.yml")
_TESTS_FAILED = 1  # pytest's exit code; 2 and more is no verdict on the code


def main() -> int:
    """Make the faults, one after the other."""
    chosen = [one for one in MUTATIONS if all(word in one.name for word in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in _COPIED:
            if (source := _ROOT / name).is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        clean = sorted({file for one in chosen for file in one.found_by})
        if _run(copy, clean) != 0:
            print("without a fault, these tests fail already; see above")
            return 1
        missed = [one for one in chosen if not _is_found(copy, one)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults found")
    return 1 if missed else 0


def _is_found(copy: Path, mutation: Mutation) -> bool:
    file = copy / mutation.file
    whole = file.read_text()
    if whole.count(mutation.old) != 1:
        print(f"NOT MADE  {mutation.name}: {mutation.file} does not hold its text once")
        return False
    file.write_text(whole.replace(mutation.old, mutation.new))
    code = _run(copy, mutation.found_by, quiet=True)
    file.write_text(whole)
    print(f"{'found    ' if code == _TESTS_FAILED else 'NOT FOUND'} {mutation.name}", flush=True)
    return code == _TESTS_FAILED


def _run(copy: Path, tests: Sequence[str], *, quiet: bool = False) -> int:
    """The exit code of pytest."""
    paths = os.pathsep.join(str(copy / folder) for folder in (".", "daemon"))
    command = [sys.executable, "-m", "pytest", "-q", "--exitfirst", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=copy, env=environment, check=False, stdout=subprocess.DEVNULL if quiet else None
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
