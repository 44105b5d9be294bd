"""Triton's own client works with the server as it is: whoever has one changes nothing but the address."""

from urllib.parse import urlsplit

import numpy as np
import pytest

http = pytest.importorskip("tritonclient.http", reason="pip install 'tritonclient[http]'")


@pytest.fixture
def client(url):
    with http.InferenceServerClient(urlsplit(url).netloc) as made:
        yield made


def asked(client, model, rows, binary):
    told = client.get_model_metadata(model)
    tensor = http.InferInput(told["inputs"][0]["name"], list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    name = told["outputs"][0]["name"]
    wanted = [http.InferRequestedOutput(name, binary_data=binary)]
    said = client.infer(model, [tensor], outputs=wanted, request_id="7")
    assert said.get_response()["id"] == "7"
    return said.as_numpy(name)


def test_it_finds_the_server_and_the_model(client, model) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(model)
    assert client.get_server_metadata()["name"]
    assert client.get_model_metadata(model)["name"] == model


def test_it_lists_the_repository(client, model, foreign) -> None:
    if foreign:
        pytest.skip("an extension that a server need not have")
    assert model in {one["name"] for one in client.get_model_repository_index()}


def test_it_asks_in_json_and_in_bytes(client, model) -> None:
    wide = int(client.get_model_metadata(model)["inputs"][0]["shape"][-1])
    rows = np.random.default_rng(4).normal(size=(5, wide)).astype(np.float32)
    said = asked(client, model, rows, binary=False)
    assert said.shape[0] == 5
    assert np.isfinite(said).all()
    if "binary_tensor_data" not in client.get_server_metadata()["extensions"]:
        pytest.skip("this server does not list the binary tensor extension")
    assert np.abs(asked(client, model, rows, binary=True) - said).max() < 1e-5


def test_it_is_told_what_is_wrong(client) -> None:
    tensor = http.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
    with pytest.raises(http.InferenceServerException):
        client.infer("nobody-has-this", [tensor])


def test_it_loads_and_unloads_ours(client, model, foreign) -> None:
    if foreign:
        pytest.skip("another's models are left alone")
    client.unload_model(model)
    assert not client.is_model_ready(model)
    client.load_model(model)
    assert client.is_model_ready(model)
