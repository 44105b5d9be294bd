"""`python benchmarks/levels`: what a compiled core, or another interpreter, would give: one table.

Each level takes the same readings in a process of its own, in interleaved rounds; its decisions and effects must be those of the first.
Never in here: a compiled core for use; none is shipped (docs/compile-levels.md says why).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup

names = [name.removesuffix(".py").replace("/", ".") for name in sys.argv[1:]]
setup(
    name="core",
    script_args=["-q", "build_ext", "--inplace"],
    ext_modules=cythonize(
        [Extension(name, [path], extra_compile_args=["-O2", "-g0"]) for name, path in zip(names, sys.argv[1:])],
        quiet=True,
        # Types are promises to a checker here, not conversions: an int where a float may stand stays an int.
        compiler_directives={"language_level": "3", "binding": True, "annotation_typing": False},
    ),
)
"""
LEFT_OUT = frozenset({"appliance/core/explain/why_not.py"})
"""Cython 3.3 does not take a starred expression inside a conditional one; no decision runs it."""


class Level(msgspec.Struct):
    """One way to run the core, and what was measured of it."""

    name: str
    python: str
    root: Path = ROOT
    built: str = ""
    rounds: list[dict[str, float | str | bool]] = []


def compiled(python: str, folder: Path) -> Level:
    """Return the level of a core that Cython compiled as it is, with the Cython and the C compiler of `python`'s machine."""
    for name in ("appliance", "models", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    core = (path.relative_to(folder).as_posix() for path in sorted((folder / "appliance/core").rglob("*.py")))
    modules = [path for path in core if not path.endswith("__init__.py") and path not in LEFT_OUT]
    began = time.monotonic()
    done = subprocess.run(
        [python, "-c", BUILD, *modules], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"error: Cython did not build the core: {done.stderr[-500:]}\n  hint: --cython names a Python that has it"
        )
    megabytes = sum(path.stat().st_size for path in folder.rglob("*.so")) / 1e6
    built = f"{len(modules)} modules in {time.monotonic() - began:.0f} s, {megabytes:.0f} MB"
    return Level("Cython", sys.executable, folder, built)


def measure(level: Level, readings: int) -> None:
    done = subprocess.run(
        [level.python, str(HERE / "deciding.py"), str(readings)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{level.root}:{level.root / 'benchmarks/speed'}", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"error: {level.name} failed: {done.stderr[-500:]}")
    level.rounds.append(json.loads(done.stdout))


def table(levels: Iterable[Level]) -> str:
    first, *_ = levels = list(levels)
    lines = [
        "| level | Python | µs a decision, of 30 at once | × | µs a decision, alone | × | peak RSS, MB | CPU to import, s | same decisions |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for level in levels:
        cells = [level.name, str(level.rounds[0]["python"])]
        for figure in ("us_of_30", "us_of_1"):
            values = [float(said[figure]) for said in level.rounds]
            gains = [float(base[figure]) / value for base, value in zip(first.rounds, values, strict=True)]
            cells += [
                f"{statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f})",
                f"{statistics.median(gains):.2f}",
            ]
        cells += [
            f"{statistics.median(float(said[figure]) for said in level.rounds):.{digits}f}"
            for figure, digits in (("rss_mb", 0), ("imported_s", 2))
        ]
        same = {said["digest"] for said in level.rounds} == {first.rounds[0]["digest"]}
        cells.append("yes" if same else "NO")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/levels", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--readings", type=int, default=6000, help="of each round, once in thirties and once alone"
    )
    parser.add_argument("--cython", metavar="PYTHON", help="also compile the core, with this Python's Cython")
    parser.add_argument(
        "--python", metavar="NAME=PATH", action="append", default=[], help="also run it with this interpreter"
    )
    asked = parser.parse_args()
    levels = [Level("interpreted", sys.executable)]
    levels += [Level(*each.split("=", 1)) for each in asked.python]
    with tempfile.TemporaryDirectory() as folder:
        if asked.cython:
            levels.append(compiled(asked.cython, Path(folder)))
        for _ in range(asked.rounds):
            for level in levels:
                measure(level, asked.readings)
    print(table(levels))
    for level in levels:
        recorded = level.rounds[0]["recorded"]
        print(f"{level.name}: {recorded} decisions compared{'; built ' + level.built if level.built else ''}")


if __name__ == "__main__":
    main()
