"""A bundle that was altered, is too large, reaches outside or wants the impossible is refused with what to do."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper

from appliance.bundle import TEACHER, TEACHER_OPERATORS, load_bundle, shipped, write_bundle
from appliance.bundle.walk import operators
from appliance.errors import ModelError

FILES = ("model.onnx", "card.json", "golden.npz", "manifest.json")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in FILES:
        (tmp_path / name).write_bytes((shipped("presence") / name).read_bytes())
    return tmp_path


def replace(folder: Path, name: str, content: bytes) -> None:
    """Put `content` in place of a file, with a manifest that agrees: a mistake made before the digests were taken."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def refuse(folder: Path, *words: str) -> None:
    with pytest.raises(ModelError) as refused:
        load_bundle(folder)
    assert refused.value.hint
    for word in words:
        assert word in refused.value.message


def test_what_is_shipped_is_whole() -> None:
    bundle = load_bundle(shipped("presence"))
    assert bundle.card.labels == ("nobody", "somebody")
    assert bundle.digest == hashlib.sha256(bundle.model).hexdigest()
    assert "light" not in {feature.channel for feature in bundle.card.features.features}


def test_a_bundle_that_is_written_again_has_the_same_bytes(tmp_path) -> None:
    bundle = load_bundle(shipped("presence"))
    write_bundle(
        tmp_path,
        bundle.model,
        bundle.card,
        bundle.golden_rows,
        bundle.golden_probabilities,
        bundle.golden_labels,
    )
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (shipped("presence") / name).read_bytes(), name


@pytest.mark.parametrize("name", FILES[:3])
def test_one_changed_byte_is_noticed(folder, name) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    refuse(folder, name, "manifest")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name) -> None:
    (folder / name).unlink()
    refuse(folder, name)


@pytest.mark.parametrize("name", FILES)
def test_a_symbolic_link_is_refused(folder, name, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / name
    shutil.move(folder / name, elsewhere)
    (folder / name).symlink_to(elsewhere)
    refuse(folder, name, "plain file")


def test_a_pipe_in_place_of_a_file_does_not_hang(folder) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    refuse(folder, "plain file")


def test_a_hard_link_as_installers_make_them_is_fine(folder, tmp_path_factory) -> None:
    os.link(folder / "model.onnx", tmp_path_factory.mktemp("cache") / "model.onnx")
    load_bundle(folder)


def test_a_file_that_is_too_large_is_not_read(folder) -> None:
    with (folder / "card.json").open("r+b") as file:
        file.truncate(1 << 40)
    refuse(folder, "card.json", "MiB")


def changed(folder: Path, **fields) -> bytes:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    return json.dumps({**card, **fields}).encode()


SETS = {"alphas": [0.1, 0.05], "thresholds": [[0.4, 0.4], [0.3, 0.3]], "rows": [50, 50]}
SHIPPED = json.loads((shipped("presence") / "card.json").read_text("utf-8"))
SIZE = len(SHIPPED["features"]["features"])
REGION = {
    "low": [0.0] * SIZE, "high": [1.0] * SIZE, "bend": [1.0] * SIZE, "centre": [0.0] * SIZE, "whitening": [1.0] * (SIZE * (SIZE + 1) // 2), "limit": 20.0,
}  # fmt: skip
FEATURE = {"name": "x", "kind": "mean", "channel": "co2", "span_s": 600}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"features": {"features": [{**FEATURE, "channel": "radon_dreams"}]}}, "radon_dreams"),
        ({"features": {"features": [{**FEATURE, "channel": ""}]}}, "nobody measures"),
        ({"features": {"features": [{**FEATURE, "kind": "guess"}]}}, "guess"),
        ({"features": {"features": [{**FEATURE, "span_s": 10**12}]}}, "spans"),
        ({"features": {"features": [FEATURE | {"more": 1}]}}, "more"),
        ({"features": {"features": []}}, "0 features"),
        ({"features": {"features": [FEATURE]}}, "golden"),
        ({"labels": ["nobody"]}, "1 labels"),
        ({"labels": ["nobody", "somebody", "many"]}, "golden"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"sets": {**SETS, "rows": [9]}}, "other sizes"),
        ({"sets": {**SETS, "alphas": [0.05, 0.1]}}, "do not fall"),
        ({"sets": {**SETS, "alphas": [0.1, 0]}}, "do not fall"),
        ({"sets": {**SETS, "thresholds": [[0.4, 0.4], [0.5, 0.3]]}}, "falling probabilities"),
        ({"sets": {**SETS, "thresholds": [[1.4, 0.4], [0.5, 0.3]]}}, "falling probabilities"),
        ({"novelty": {**REGION, "low": [0.0]}}, "other sizes"),
        ({"novelty": {**REGION, "bend": [0.0] * SIZE}}, "numbers that are none"),
        ({"novelty": {**REGION, "low": [2.0] * SIZE}}, "without room"),
        ({"name": "absence"}, "different models"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_card_that_asks_for_the_impossible_is_refused(folder, fields, word) -> None:
    # What rests on the shipped features and labels is left out: this is about the rest.
    replace(folder, "card.json", changed(folder, **({"sets": None, "novelty": None} | fields)))
    refuse(folder, word)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.npy", bytes(64 << 20))
        archive.writestr("probabilities.npy", b"")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 and nothing",
        npz(rows=np.zeros((3, 99), np.float32), probabilities=np.zeros((3, 2), np.float32)),
        npz(rows=np.zeros((0, 8), np.float32), probabilities=np.zeros((0, 2), np.float32)),
        npz(rows=np.zeros((3, 8), np.float32)),
        npz(rows=np.array([{"a": 1}], dtype=object), probabilities=np.zeros((1, 2), np.float32)),
        bomb(),
    ],
    ids=["empty", "cut off", "other width", "no rows", "no probabilities", "pickled objects", "zip bomb"],
)
def test_golden_rows_that_are_none_are_refused(folder, content) -> None:
    replace(folder, "golden.npz", content)
    refuse(folder, "golden")


def model(*nodes, initializers=(), **more) -> bytes:
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])
    two = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(list(nodes), "g", [one], [two], list(initializers))
    return helper.make_model(graph, **more).SerializeToString()


def outside() -> bytes:
    tensor = numpy_helper.from_array(np.zeros((8, 2), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secrets"
    return model(helper.make_node("MatMul", ["x", "w"], ["y"]), initializers=[tensor])


def branch() -> bytes:
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    return model(helper.make_node("Relu", ["x"], ["y"], then_branch=inner))


def functions() -> bytes:
    opset = helper.make_opsetid("", 17)
    own = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [opset])
    return model(helper.make_node("Relu", ["x"], ["y"]), functions=[own])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (model(helper.make_node("Loop", ["x"], ["y"])), "Loop"),
        (model(helper.make_node("Relu", ["x"], ["y"], domain="com.example")), "com.example"),
        (model(helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml")), "ai.onnx.ml.Scaler"),
        (outside(), "outside"),
        (branch(), "graph within a graph"),
        (functions(), "functions"),
        (model(*[helper.make_node("Relu", ["x"], ["y"])] * 1001), "1000 nodes"),
        (model(helper.make_node("Relu", ["x"], ["y"])), "manifest"),
        (b"", "no graph"),
        (b"\xff" * 40, "cut off"),
        (b"not a model at all", ""),
    ],
    ids=[
        "loop",
        "domain",
        "another domain",
        "external",
        "subgraph",
        "function",
        "many nodes",
        "other operators",
        "empty",
        "varints",
        "text",
    ],
)
def test_a_model_that_reaches_beyond_its_kind_is_refused(folder, content, word) -> None:
    replace(folder, "model.onnx", content)
    refuse(folder, word)


def test_no_device_runs_a_teacher_whatever_its_operators_are(folder, tmp_path_factory) -> None:
    refused = shipped(f"presence{TEACHER}")
    with pytest.raises(ModelError, match="presence-teacher is a teacher"):
        load_bundle(refused)
    assert load_bundle(refused, allowed=TEACHER_OPERATORS).is_teacher
    # Also one that is only called so: a line, whose operators any model may use.
    plain = load_bundle(folder)
    named = tmp_path_factory.mktemp("named")
    card = msgspec.structs.replace(plain.card, name=f"presence{TEACHER}")
    write_bundle(named, plain.model, card, plain.golden_rows, plain.golden_probabilities)
    refuse(named, "is a teacher")
    # And one that is called otherwise, by its operators.
    teacher = load_bundle(refused, allowed=TEACHER_OPERATORS)
    card = msgspec.structs.replace(teacher.card, name="presence")
    write_bundle(named, teacher.model, card, teacher.golden_rows, teacher.golden_probabilities)
    refuse(named, "TreeEnsembleClassifier")
    assert not load_bundle(named, allowed=TEACHER_OPERATORS).is_teacher


@given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 600))
@settings(max_examples=500)
def test_no_bytes_break_the_walk(noise, start, end) -> None:
    whole = (shipped("presence") / "model.onnx").read_bytes()
    for content in (noise, whole[: start % len(whole)], whole[:start] + noise + whole[end:]):
        with contextlib.suppress(ModelError):
            assert all(isinstance(name, str) for name in operators(content))


def test_a_model_that_nobody_ships_is_named() -> None:
    with pytest.raises(ModelError, match="'absence'"):
        shipped("absence")


def test_the_card_says_what_a_reader_must_know() -> None:
    card = msgspec.to_builtins(load_bundle(shipped("presence")).card)
    for field in ("data", "licence", "citation", "split", "calibration", "worst", "intended_use", "not_for"):
        assert len(card[field]) > 15, field


def test_a_card_with_sets_and_a_region_is_read_as_it_was_written(folder) -> None:
    replace(folder, "card.json", changed(folder, sets=SETS, novelty=REGION, guarantees="none"))
    trust = load_bundle(folder).card.trust
    assert trust.sets is not None
    assert trust.sets.at(0.07) == (0.3, 0.3)
    assert trust.novelty is not None
    assert trust.novelty.limit == 20.0
    assert trust.features[0] == SHIPPED["features"]["features"][0]["name"]


def test_a_card_from_before_there_were_sets_still_stands(folder) -> None:
    old = {key: value for key, value in SHIPPED.items() if key not in {"sets", "novelty", "guarantees"}}
    replace(folder, "card.json", json.dumps({**old, "threshold": 0.63}).encode())
    trust = load_bundle(folder).card.trust
    assert (trust.sets, trust.novelty, trust.threshold) == (None, None, 0.63)
