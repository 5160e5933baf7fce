"""Types and generated files: what the stubs say is what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PYTHON = Path(__file__).parent.parent
FOLDERS = {"MYPY_CACHE_DIR": os.devnull}
#: Names that cannot carry a documentation of their own.
PLAIN = {
    "LATER", "Data", "FilterLike", "Rooms", "SlowPolicy", "Tags", "TlsLike", "TlsPair", "TokenKeys",
    "Verb", "Who", "__version__",
}


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=PYTHON, env={**os.environ, **FOLDERS}, capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_stubs_say_what_the_native_module_has() -> None:
    run(sys.executable, "-m", "mypy.stubtest", "roomcast._roomcast")


def test_the_package_and_the_examples_pass_strict_checking() -> None:
    examples = sorted(str(path) for path in (PYTHON / "examples").glob("*.py"))
    assert examples
    run(sys.executable, "-m", "mypy", "--strict", "-p", "roomcast")
    for example in examples:
        run(sys.executable, "-m", "mypy", "--strict", example)


def test_generated_files_are_what_would_be_generated() -> None:
    run(sys.executable, "generate.py", "--check")


def test_every_name_of_the_stub_is_documented_or_plain() -> None:
    import roomcast

    missing = [
        name for name in roomcast.__all__
        if name not in PLAIN
        and not getattr(roomcast, name).__doc__
    ]
    assert not missing
