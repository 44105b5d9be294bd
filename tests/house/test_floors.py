"""The house stands: what the core pulls in, and that every module opens with its law."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPURE = [
    "paho",
    "fastapi",
    "starlette",
    "uvicorn",
    "httpx",
    "sqlite3",
    "sqlite_utils",
    "onnxruntime",
    "asyncio",
    "pydantic",
    "logging",
    "random",
    "socket",
]
MODULES = sorted((ROOT / "appliance").rglob("*.py"))


def test_importing_the_controller_pulls_in_nothing_of_the_world() -> None:
    # numpy and msgspec may have imported some of it for themselves: what counts is what the core adds to them.
    code = (
        "import sys, numpy, msgspec, zoneinfo, importlib.metadata; before = set(sys.modules); import appliance.core.controller;"
        f"print([name for name in {IMPURE!r} if name in sys.modules and name not in before])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_world_s_libraries_are_not_even_loaded_beside_the_core() -> None:
    code = f"import sys, appliance.core.controller; print([name for name in {IMPURE[:9]!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_its_law(path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert told


def test_no_room_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "manager", "handler", "service", "helper", "helpers", "common", "misc"}
    assert not [path for path in MODULES if path.stem in empty or path.parent.name in empty]
