"""A shelf of the bundles that are shipped, and each test with the parser that every machine has and with that of the extra [edge]."""

import shutil
from pathlib import Path

import pytest

from appliance.adapters.edge.server import parsing

MODELS = Path(__file__).parents[4] / "models"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    for name in ("presence", "presence-teacher"):
        shutil.copytree(MODELS / name, folder / name)
    (folder / "plain").mkdir()
    shutil.copy(MODELS / "air-event" / "model.onnx", folder / "plain")
    return folder


@pytest.fixture(
    autouse=True,
    params=[
        "h11",
        pytest.param(
            "httptools",
            marks=pytest.mark.skipif(
                parsing.httptools is None, reason="httptools: pip install appliance[edge]"
            ),
        ),
    ],
)
def parser(request, monkeypatch) -> None:
    if request.param == "h11":
        monkeypatch.setattr(parsing, "httptools", None)
