"""A shelf of the bundles that are shipped."""

import shutil
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[4] / "models"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    for name in ("presence", "presence-teacher"):
        shutil.copytree(MODELS / name, folder / name)
    (folder / "plain").mkdir()
    shutil.copy(MODELS / "air-event" / "model.onnx", folder / "plain")
    return folder
