"""What a device needs of an edge server, whoever made it: run against ours, Triton, MLServer or KServe."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from appliance.adapters.edge.metadata import decode_metadata
from appliance.adapters.edge.wire import HEADER_LENGTH, decode_response, encode_request
from appliance.bundle import TEACHER_OPERATORS, load_bundle

MODELS = Path(__file__).parents[3] / "models"


def ask(url: str, method: str, path: str, body: bytes | None = None, headers=None):
    """Return status, headers in small letters, and body."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request(method, parts.path + path, body, headers or {})
        said = connection.getresponse()
        return said.status, {name.lower(): value for name, value in said.getheaders()}, said.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def told(url, model):
    status, _, body = ask(url, "GET", f"/v2/models/{model}")
    assert status == 200, body
    return decode_metadata(body)


@pytest.fixture(scope="module")
def rows(told):
    return np.random.default_rng(3).normal(scale=2, size=(12, told.inputs[0].shape[-1])).astype(np.float32)


def infer(url, told, rows, *, binary=False, name="q"):
    body, headers = encode_request(
        rows, id=name, binary=binary, name=told.inputs[0].name, output=told.outputs[0].name
    )
    status, headers, said = ask(url, "POST", f"/v2/models/{told.name}/infer", body, headers)
    assert status == 200, said[:500]
    labels = told.outputs[0].shape[-1]
    return decode_response(
        said,
        headers,
        id=name,
        model=told.name,
        version="",
        rows=len(rows),
        labels=labels,
        output=told.outputs[0].name,
    )


def has_bytes(url) -> bool:
    return "binary_tensor_data" in json.loads(ask(url, "GET", "/v2")[2])["extensions"]


def test_it_is_alive_ready_and_says_what_it_is(url) -> None:
    assert ask(url, "GET", "/v2/health/live")[0] == 200
    assert ask(url, "GET", "/v2/health/ready")[0] == 200
    status, _, body = ask(url, "GET", "/v2")
    assert status == 200
    assert {"name", "version", "extensions"} <= json.loads(body).keys()


def test_the_model_is_ready_and_says_what_it_takes_and_gives(url, model, told) -> None:
    assert told.name == model
    assert [(one.datatype, len(one.shape)) for one in (*told.inputs, *told.outputs)] == [("FP32", 2)] * 2
    assert min(told.inputs[0].shape[-1], told.outputs[0].shape[-1]) > 0
    assert ask(url, "GET", f"/v2/models/{model}/ready")[0] == 200


def test_rows_are_answered_in_their_order(url, told, rows) -> None:
    said = infer(url, told, rows)
    assert np.isfinite(said).all()
    order = np.random.default_rng(1).permutation(len(rows))
    assert np.abs(infer(url, told, rows[order]) - said[order]).max() < 1e-5
    for i in range(len(rows)):
        assert np.abs(infer(url, told, rows[i : i + 1]) - said[i]).max() < 1e-5


def test_bytes_say_the_same_as_json(url, told, rows) -> None:
    if not has_bytes(url):
        pytest.skip("this server does not list the binary tensor extension")
    assert np.abs(infer(url, told, rows, binary=True) - infer(url, told, rows)).max() < 1e-5


def test_a_shipped_model_gives_its_golden_rows(url, told) -> None:
    if not (MODELS / told.name).is_dir():
        pytest.skip(f"{told.name} is no model of this release")
    bundle = load_bundle(MODELS / told.name, allowed=TEACHER_OPERATORS)
    for at in range(0, len(bundle.golden_rows), 32):
        said = infer(url, told, bundle.golden_rows[at : at + 32])
        assert np.abs(said - bundle.golden_probabilities[at : at + 32]).max() < 1e-3


def test_nested_data_and_no_outputs_named_are_understood(url, told, rows) -> None:
    tensor = {
        "name": told.inputs[0].name,
        "shape": [2, rows.shape[1]],
        "datatype": "FP32",
        "data": rows[:2].tolist(),
    }
    body = json.dumps({"id": "n", "inputs": [tensor]}).encode()
    status, headers, said = ask(
        url, "POST", f"/v2/models/{told.name}/infer", body, {"content-type": "application/json"}
    )
    assert status == 200, said[:500]
    got = decode_response(
        said, headers, id="n", model=told.name, version="", rows=2, labels=told.outputs[0].shape[-1],
        output=told.outputs[0].name,
    )  # fmt: skip
    assert np.abs(got - infer(url, told, rows[:2])).max() < 1e-5


def test_many_at_once_each_get_their_own(url, told) -> None:
    rows = np.random.default_rng(9).normal(scale=2, size=(64, told.inputs[0].shape[-1])).astype(np.float32)
    alone = infer(url, told, rows)
    with ThreadPoolExecutor(16) as threads:
        said = list(threads.map(lambda i: infer(url, told, rows[i : i + 1], name=f"n{i}"), range(64)))
    assert np.abs(np.concatenate(said) - alone).max() < 1e-5


def wrong(told) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    wide = told.inputs[0].shape[-1]
    path = f"/v2/models/{told.name}/infer"

    def tensor(**changed) -> bytes:
        made = {"name": told.inputs[0].name, "shape": [1, wide], "datatype": "FP32", "data": [0.0] * wide}
        return json.dumps({"inputs": [made | changed]}).encode()

    return {
        "no JSON": (path, b"{", {}),
        "too few values": (path, tensor(data=[0.0]), {}),
        "too many columns": (path, tensor(shape=[1, wide + 1], data=[0.0] * (wide + 1)), {}),
        "another type": (path, tensor(datatype="INT64", data=[0] * wide), {}),
        "no such type": (path, tensor(datatype="WORDS"), {}),
        "no such model": ("/v2/models/nobody-has-this/infer", tensor(), {}),
        "lying length": (path, tensor(), {HEADER_LENGTH: "99999"}),
    }


def test_what_is_wrong_is_refused_and_the_next_is_answered(url, told, rows, foreign) -> None:
    accepted = {}
    # Triton answers 500 to what is no JSON, MLServer tells some errors in words of its own; ours says whose fault it is.
    worst, word = (599, b"") if foreign else (499, b"error")
    cases = wrong(told)
    if not has_bytes(url):
        del cases["lying length"]  # a header of the extension that this server does not have
    for name, (path, body, headers) in cases.items():
        status, _, said = ask(url, "POST", path, body, {"content-type": "application/json", **headers})
        if not (400 <= status <= worst and word in said):
            accepted[name] = status
        infer(url, told, rows[:1])
    assert not accepted, "not refused as the protocol has it: {'error': ...} with a status"
