"""The protocol's bytes: what goes out comes back, and whatever else is refused with a reason, never believed and never a crash."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from appliance.adapters.edge.metadata import decode_metadata
from appliance.adapters.edge.tensors import DTYPES
from appliance.adapters.edge.wire import (
    HEADER_LENGTH,
    Output,
    WireError,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from appliance.errors import EdgeError

ROWS = np.array([[1.5, -2.0, 3.25], [0.1, 1e30, -1e-30]], np.float32)


def request(**changed) -> bytes:
    tensor = {"name": "features", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}
    return json.dumps({"inputs": [tensor | changed]}).encode()


@pytest.mark.parametrize("binary", [False, True])
def test_rows_arrive_bit_by_bit(binary) -> None:
    body, headers = encode_request(ROWS, id='a"b', binary=binary)
    asked = decode_request(body, headers)
    assert asked.id == 'a"b'
    assert asked.inputs["features"].tobytes() == ROWS.tobytes()
    assert asked.inputs["features"].shape == (2, 3)
    assert [(one.name, one.binary) for one in asked.wanted] == [("probabilities", binary)]


@pytest.mark.parametrize("binary", [False, True])
def test_an_answer_arrives_bit_by_bit_and_only_as_the_answer_to_its_question(binary) -> None:
    said = np.array([[0.25, 0.75], [0.1, 0.9]], np.float32)
    body, headers = encode_response("m", "4", "q1", [Output("probabilities", "FP32", said, binary)])
    due = {"id": "q1", "model": "m", "version": "4", "rows": 2, "labels": 2}
    assert decode_response(body, headers, **due).tobytes() == said.tobytes()
    for wrong in (
        {"id": "q2"},
        {"model": "n"},
        {"version": "5"},
        {"rows": 3},
        {"labels": 3},
        {"output": "p"},
    ):
        with pytest.raises(EdgeError):
            decode_response(body, headers, **(due | wrong))


def test_a_server_that_names_no_version_and_flat_or_nested_data_is_understood() -> None:
    tensor = {"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [[0.5, 0.5]]}
    body = json.dumps({"model_name": "m", "id": "q", "outputs": [tensor], "parameters": {"x": 1}}).encode()
    due = {"id": "q", "model": "m", "version": "4", "rows": 1, "labels": 2, "output": "p"}
    assert decode_response(body, {}, **due).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>", b"{", b'{"model_name":"m","id":"q","outputs":[]}', b"\xff\xfe", b"[" * 100_000,
        b'{"model_name":"m","id":"q","outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[null,1]}]}',
        b'{"model_name":"m","id":"q","outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[1e99,1]}]}',
        b'{"model_name":"m","id":"q","outputs":[{"name":"probabilities","datatype":"FP64","shape":[1,2],"data":[0,1]}]}',
    ],
)  # fmt: skip
def test_a_nonsense_answer_is_an_edge_error(body) -> None:
    with pytest.raises(EdgeError):
        decode_response(body, {}, id="q", model="m", version="", rows=1, labels=2)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"data": [[1, 2, 3], [4, 5]]}, "ragged"),
        ({"data": [[1, 2], [3, 4], [5, 6]]}, "shape"),
        ({"data": [1, 2, 3]}, "3 values"),
        ({"data": "1,2,3"}, "array"),
        ({"data": [1, 2, 3, 4, 5, None]}, "null"),
        ({"data": [1, 2, 3, 4, 5, "x"]}, "str"),
        ({"data": [1, 2, 3, 4, 5, 1e39]}, "out of range"),
        ({"data": [[[1]]]}, "int|float|array"),
        ({"shape": [2, -3]}, "not a shape"),
        ({"shape": [2, 3.5]}, "int"),
        ({"shape": [1 << 24, 1 << 24]}, "more than"),
        ({"shape": [1] * 9}, "not a shape"),
        ({"datatype": "BYTES"}, "data type"),
        ({"datatype": "UINT8", "data": [1, 2, 3, 4, 5, 256]}, "out of bounds"),
        ({"datatype": "INT64", "data": [1, 2, 3, 4, 5, 6.5]}, "int"),
        ({"datatype": "BOOL"}, "bool"),
        ({"parameters": {"binary_data_size": 24}}, "both"),
        ({"data": None}, "null"),
        ({"name": 5}, "str"),
    ],
)
def test_a_wrong_tensor_is_a_400_that_says_what_is_wrong(changed, told) -> None:
    with pytest.raises(WireError, match=told) as refused:
        decode_request(request(**changed), {})
    assert refused.value.status == 400


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_json_that_is_none_is_a_400(literal) -> None:
    with pytest.raises(WireError) as refused:
        decode_request(request().replace(b"6]", literal + b"]"), {})
    assert refused.value.status == 400


def test_what_bytes_say_of_themselves_must_be_so() -> None:
    body, headers = encode_request(ROWS, id="", binary=True)
    for wrong in ("-1", "", "٣", str(len(body) + 1), "9" * 30, "0x10"):
        with pytest.raises(WireError):
            decode_request(body, headers | {HEADER_LENGTH: wrong})
    for cut in (body[:-1], body + b"\0"):
        with pytest.raises(WireError):
            decode_request(cut, headers)


def test_not_a_number_is_carried_by_bytes_both_ways_and_is_null_in_json() -> None:
    rows = np.array([[np.nan, 1.0]], np.float32)
    asked = decode_request(*encode_request(rows, id="", binary=True))
    assert np.isnan(asked.inputs["features"][0, 0])
    body, _ = encode_response("m", "1", "", [Output("p", "FP32", rows)])
    assert json.loads(body)["outputs"][0]["data"] == [None, 1.0]


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_every_data_type_survives_both_ways(datatype) -> None:
    values = np.array([[0, 1], [1, 0]]).astype(DTYPES[datatype])
    for binary in (False, True):
        body, headers = encode_response("m", "1", "", [Output("x", datatype, values, binary)])
        told = body.replace(b'"outputs"', b'"inputs"').replace(b'"model_name"', b'"_model_nam"')
        got = decode_request(
            told, {**headers, HEADER_LENGTH: str(int(headers[HEADER_LENGTH]) - 1)} if binary else {}
        )
        assert got.inputs["x"].tolist() == values.tolist()
        assert got.inputs["x"].dtype == DTYPES[datatype]


def test_metadata_that_is_none_is_an_edge_error() -> None:
    assert decode_metadata(b'{"name":"m","platform":"x","inputs":[],"outputs":[],"more":1}').name == "m"
    for body in (b"", b"{}", b"<html>", b'{"name":1}'):
        with pytest.raises(EdgeError):
            decode_metadata(body)


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from([*sorted(DTYPES), "BYTES", ""]),
    st.lists(st.integers(-1, 4), max_size=4),
)
def test_whatever_comes_is_understood_as_said_or_refused(data, datatype, shape) -> None:
    try:
        got = decode_request(request(data=data, datatype=datatype, shape=shape), {})
    except WireError:
        return
    assert list(got.inputs["features"].shape) == shape
    assert got.inputs["features"].dtype == DTYPES[datatype]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_noise_is_refused(noise, length) -> None:
    for headers in ({}, {HEADER_LENGTH: str(length)}):
        with pytest.raises(WireError):
            decode_request(noise, headers)
        with pytest.raises(EdgeError):
            decode_response(noise, headers, id="", model="m", version="", rows=1, labels=2)
