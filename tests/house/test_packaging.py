"""What is shipped is whole, pinned, and speaks of the project alone."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_hashes_and_no_file_names_a_registry(lock) -> None:
    text = lock.read_text("utf-8")
    pins = re.findall(r"^([A-Za-z0-9_.-]+==[^ ;\\]+)(.*(?:\n    --hash.*)*)", text, re.MULTILINE)
    assert len(pins) > 10
    assert all("--hash=sha256:" in rest for _, rest in pins)
    assert "://" not in text
    assert "index-url" not in text


def test_the_runtime_pulls_in_no_gpu_stack_and_the_extras_agree_with_it() -> None:
    pins = {
        lock.name: dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", lock.read_text("utf-8"), re.MULTILINE))
        for lock in LOCKS
    }
    for name, found in pins.items():
        assert not [package for package in found if re.search(r"nvidia|cuda|torch|tensorflow", package)], name
    for name, version in pins["run.txt"].items():
        assert all(found.get(name, version) == version for found in pins.values()), name


def test_no_tracked_file_names_a_place_on_somebody_s_machine() -> None:
    place = re.compile(rb"(?<![\w.])/(?:" + b"|".join([b"work", b"root", b"farm", b"home/[a-z]+"]) + rb")/")
    assert not [
        path
        for path in TRACKED
        if path.suffix != ".png" and path != Path(__file__) and place.search(path.read_bytes())
    ]


def test_the_wheel_holds_what_the_checkout_has(tmp_path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("appliance", "appliance"), ("models", "appliance/_models")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" in names


def test_the_model_is_found_where_the_package_is_installed(tmp_path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = "import appliance, appliance.bundle as b; print(appliance.__file__); print(b.load_bundle(b.shipped('presence')).card.name)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in told.stdout
    assert told.stdout.splitlines()[-1] == "presence"


def test_the_version_is_the_changelog_s() -> None:
    import appliance

    assert f"## [{appliance.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"] == ">=3.11"
    )
