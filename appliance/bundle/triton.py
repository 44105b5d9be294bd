"""Owns what a model repository of NVIDIA Triton looks like for a bundle: its config.pbtxt, its labels, its model under its version.

Never in here: talking to a server. What its onnxruntime backend could not serve as the home asks for it is refused.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

from appliance.bundle.checking import Bundle
from appliance.bundle.walk import Tensor, signature
from appliance.errors import ModelError

PLATFORM = "onnxruntime_onnx"
KEPT_VERSIONS = 2
"""So many versions are served side by side: homes that have not been updated yet ask for the one before."""
FLOAT32 = 1
MAX_BATCH = 1024
LABELS = "labels.txt"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def triton_files(bundle: Bundle, *, batch: int, delay_us: int) -> dict[str, bytes]:
    """Return the files of a repository that serves `bundle`, by their path below the repository, the config last.

    `batch`: at most so many rows are answered at once; requests wait `delay_us` microseconds at most for others to go with.

    Raises:
        ModelError: the bundle is one that Triton could not serve: a home's own version, whose head is no part of the ONNX; another
            signature than float32 rows in, float32 probabilities out; or a name that can be no folder.
    """
    card = bundle.card
    if card.refit is not None:
        raise ModelError(
            f"{card.name} is a home's own version: its head is on its card, not in its model",
            hint="export the shipped version, by its name",
        )
    if not _NAME.fullmatch(card.name):
        raise ModelError(
            f"{card.name!r} is no name for a folder", hint="name it with letters, digits and dashes"
        )
    if not 1 <= batch <= MAX_BATCH or delay_us < 0:
        raise ModelError(f"a batch of {batch} after {delay_us} µs", hint=f"a batch is 1 to {MAX_BATCH} rows")
    into, out = signature(bundle.model)
    _fits("input", into, len(card.features.features), card.name)
    _fits("output", out, len(card.labels), card.name)
    if any("\n" in label or "\r" in label for label in card.labels):
        raise ModelError(f"{card.name}: a label of two lines", hint="labels are a line each")
    return {
        f"{card.name}/{LABELS}": "".join(f"{label}\n" for label in card.labels).encode(),
        f"{card.name}/{card.version}/model.onnx": bundle.model,
        f"{card.name}/config.pbtxt": _config(bundle, into[0], out[0], batch, delay_us).encode(),
    }


def write_triton(bundle: Bundle, out: Path, *, batch: int, delay_us: int) -> Path:
    """Write the files of `triton_files` below `out`, which may serve other models too; return the model's folder.

    A server that polls the folder never sees half a version.

    Raises:
        ModelError: as `triton_files`; or this version lies there already with other bytes. OSError.
    """
    files = triton_files(bundle, batch=batch, delay_us=delay_us)
    folder = out / bundle.card.name
    version = folder / str(bundle.card.version)
    there = version / "model.onnx"
    if there.exists() and hashlib.sha256(there.read_bytes()).hexdigest() != bundle.digest:
        raise ModelError(
            f"{there} is another model of the same version",
            hint="homes that ask for this version would get one of two answers: raise the version, or use an empty folder",
        )
    unfinished = folder / f".{version.name}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in files.items():
        path = out / name
        if path == there:
            if version.exists():
                continue
            (unfinished / path.name).write_bytes(content)
            unfinished.rename(version)
        else:
            new = path.with_name(f".{path.name}.new")
            new.write_bytes(content)
            new.replace(path)
    shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _fits(word: str, tensors: list[Tensor], size: int, name: str) -> None:
    if len(tensors) == 1 and tensors[0].element == FLOAT32 and tensors[0].shape == (None, size):
        return
    found = ", ".join(f"{one.name} {one.shape} of type {one.element}" for one in tensors) or "none"
    raise ModelError(
        f"{name}: the model's {word} is {found}",
        hint=f"Triton batches rows: one float32 {word} is needed, its first dimension open and its second {size}",
    )


def _config(bundle: Bundle, into: Tensor, out: Tensor, batch: int, delay_us: int) -> str:
    features, labels = len(bundle.card.features.features), len(bundle.card.labels)
    preferred = sorted({size for size in (batch // 4, batch // 2, batch) if size > 1})
    batching = (
        f"""
dynamic_batching {{
  preferred_batch_size: {preferred}
  max_queue_delay_microseconds: {delay_us}
}}"""
        if preferred
        else ""
    )
    title = _quoted(bundle.card.title)
    return f"""# {title}. Written from the bundle {bundle.card.name}, version {bundle.card.version}, sha256 {bundle.digest}
name: {_quoted(bundle.card.name)}
platform: "{PLATFORM}"
max_batch_size: {batch}
input [
  {{
    name: {_quoted(into.name)}
    data_type: TYPE_FP32
    dims: [ {features} ]
  }}
]
output [
  {{
    name: {_quoted(out.name)}
    data_type: TYPE_FP32
    dims: [ {labels} ]
    label_filename: "{LABELS}"
  }}
]
version_policy: {{ latest: {{ num_versions: {KEPT_VERSIONS} }} }}
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]{batching}
model_warmup [
  {{
    name: "a row of zeros"
    batch_size: 1
    inputs: {{ key: {_quoted(into.name)}, value: {{ data_type: TYPE_FP32, dims: [ {features} ], zero_data: true }} }}
  }}
]
"""


def _quoted(text: str) -> str:
    """Return `text` as a string of protobuf's text format, whose escapes JSON's ASCII ones are, but for those by number."""
    plain = "".join(one if " " <= one <= "~" else "_" for one in text)
    return json.dumps(plain)
