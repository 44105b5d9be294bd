"""The edge server answers as the protocol says, to many at once, and each gets its own."""

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.wire import encode_request
from appliance.bundle import TEACHER_OPERATORS, load_bundle
from tests.adapters.edge.server.client import ask, infer, read, request, served

MODELS = Path(__file__).parents[4] / "models"
PRESENCE = load_bundle(MODELS / "presence")
TEACHER = load_bundle(MODELS / "presence-teacher", allowed=TEACHER_OPERATORS)


async def metric(port: int, name: str) -> float:
    told = (await ask(port, "GET", "/metrics")).body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in told.splitlines() if line.startswith(name))


async def test_a_client_finds_its_way_from_the_server_to_a_model(shelf) -> None:
    async with served(shelf) as server:
        port = server.port
        assert (await ask(port, "GET", "/v2")).json["extensions"] == [
            "binary_tensor_data",
            "model_repository",
        ]
        assert (await ask(port, "GET", "/v2/health/live")).status == 200
        assert (await ask(port, "GET", "/v2/health/ready")).status == 200
        assert (await ask(port, "GET", "/v2/models/presence/ready")).json == {
            "name": "presence",
            "ready": True,
        }
        told = (await ask(port, "GET", "/v2/models/presence")).json
        assert (told["versions"], told["platform"]) == (["4"], "onnxruntime_onnx")
        assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 8]}]
        assert told["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}]
        assert told["parameters"]["sha256"] == PRESENCE.digest
        plain = (await ask(port, "GET", "/v2/models/plain/versions/1")).json
        assert plain["parameters"]["source"] == "a model without a card"
        index = (await ask(port, "POST", "/v2/repository/index")).json
        assert [(one["name"], one["state"]) for one in index] == [
            ("plain", "READY"), ("presence", "READY"), ("presence-teacher", "READY"),
        ]  # fmt: skip


@pytest.mark.parametrize("binary", [False, True])
async def test_golden_rows_come_back_as_the_bundle_says(shelf, binary) -> None:
    async with served(shelf) as server:
        for bundle in (PRESENCE, TEACHER):
            said = await infer(server.port, bundle.card.name, bundle.golden_rows, binary=binary)
            assert np.abs(said - bundle.golden_probabilities).max() < 1e-4
        path = "/v2/models/presence/versions/4/infer"
        one = await infer(server.port, "presence", PRESENCE.golden_rows[:1], binary=binary, path=path)
        assert np.abs(one - PRESENCE.golden_probabilities[:1]).max() < 1e-4


async def test_requests_that_come_at_once_share_batches_and_each_gets_its_own_answer(shelf) -> None:
    rows = np.random.default_rng(1).normal(scale=3, size=(64, 8)).astype(np.float32)
    async with served(shelf, Limits(max_batch=32, max_delay_s=0.1)) as server:
        said = await asyncio.gather(
            *(infer(server.port, "presence", rows[i : i + 1], binary=i % 2 == 0) for i in range(64))
        )
        alone = await infer(server.port, "presence", rows)
        assert np.abs(np.concatenate(said) - alone).max() < 1e-6
        assert len(np.unique(alone.round(6), axis=0)) > 8
        batches = await metric(server.port, "appliance_edge_batch_rows_count")
        assert batches < 20, "64 requests within 100 ms went through the model nearly one by one"


async def test_a_model_that_takes_long_runs_in_a_thread_and_gives_the_same(shelf, monkeypatch) -> None:
    from appliance.adapters.edge.server import batching

    monkeypatch.setattr(batching, "INLINE_S", 0.0)
    rows = np.random.default_rng(1).normal(scale=3, size=(40, 8)).astype(np.float32)
    async with served(shelf, Limits(max_batch=8)) as server:
        said = await asyncio.gather(*(infer(server.port, "presence", rows[i : i + 1]) for i in range(40)))
        assert np.abs(np.concatenate(said) - await infer(server.port, "presence", rows)).max() < 1e-6


async def test_a_model_without_a_card_is_never_batched(shelf) -> None:
    rows = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    async with served(shelf, Limits(max_delay_s=0.05)) as server:
        await asyncio.gather(*(infer(server.port, "plain", rows[i : i + 1]) for i in range(8)))
        assert (
            await metric(server.port, 'appliance_edge_batch_rows_bucket{model="plain",version="1",le="1.0"}')
            == 8
        )


async def test_what_was_asked_before_comes_from_the_cache_until_the_model_is_another(shelf) -> None:
    row = PRESENCE.golden_rows[:1]
    async with served(shelf) as server:
        first = await infer(server.port, "presence", row)
        assert (await infer(server.port, "presence", row, binary=True)).tobytes() == first.tobytes()
        assert await metric(server.port, "appliance_edge_cache_hits_total") == 1
        assert (await infer(server.port, "presence", row + 1)).tobytes() != b""
        assert await metric(server.port, "appliance_edge_cache_hits_total") == 1
        shutil.copy(MODELS / "air-event" / "model.onnx", shelf / "plain" / "model.onnx")
        plain = await infer(server.port, "plain", row[:, :4])
        shutil.copy(MODELS / "presence" / "model.onnx", shelf / "plain" / "model.onnx")
        assert (await infer(server.port, "plain", row[:, :4])).tobytes() == plain.tobytes()
        assert (await ask(server.port, "POST", "/v2/repository/models/plain/load")).status == 200
        assert (await infer(server.port, "plain", row)).tobytes() == first.tobytes()


async def test_the_cache_is_bounded(shelf) -> None:
    rows = np.arange(80, dtype=np.float32).reshape(10, 8)
    async with served(shelf, Limits(cache_entries=4)) as server:
        for i in range(10):
            await infer(server.port, "presence", rows[i : i + 1])
        assert await metric(server.port, "appliance_edge_cache_entries") == 4


async def test_pipelined_requests_are_answered_in_their_order(shelf) -> None:
    rows = np.random.default_rng(2).normal(scale=3, size=(100, 8)).astype(np.float32)
    async with served(shelf) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for i in range(100):
            body, headers = encode_request(rows[i : i + 1], id=f"n{i}", binary=False)
            writer.write(request("POST", "/v2/models/presence/infer", body, headers))
            writer.write(request("GET", f"/v2/models/none{i}"))
        for i in range(100):
            assert (await read(reader)).json["id"] == f"n{i}"
            said = await read(reader)
            assert said.status == 404
            assert f"none{i}" in said.json["error"]
        writer.close()


async def test_outputs_come_as_they_were_asked_for(shelf) -> None:
    body = {"inputs": [{"name": "features", "shape": [1, 8], "datatype": "FP32", "data": [[0] * 8]}]}
    async with served(shelf) as server:
        path = "/v2/models/presence/infer"
        for options, binary in (
            ({}, False),
            ({"parameters": {"binary_data_output": True}}, True),
            ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}, True),
            (
                {
                    "outputs": [{"name": "probabilities"}],
                    "parameters": {"binary_data_output": True, "else": 1},
                },
                True,
            ),
        ):
            said = await ask(server.port, "POST", path, json.dumps(body | options).encode())
            assert said.status == 200
            assert ("inference-header-content-length" in said.headers) == binary
            assert "id" not in json.loads(said.body[: -8 if binary else None])


async def test_every_way_of_a_request_that_http_knows_is_understood(shelf) -> None:
    body, headers = encode_request(PRESENCE.golden_rows[:1], id="q", binary=False)
    async with served(shelf) as server:
        path = "/v2/models/presence/infer"
        chunked = b"".join(
            b"%x\r\n%b\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7)
        )
        told = headers | {"content-length": None, "transfer-encoding": "chunked"}
        assert (await ask(server.port, "POST", path, chunked + b"0\r\n\r\n", told)).status == 200
        assert (await ask(server.port, "POST", f"http://edge{path}?x=1", body, headers)).status == 200
        said = await ask(server.port, "GET", "/v2", headers={"connection": "close"})
        assert said.headers["connection"] == "close"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("POST", path, headers=headers | {"expect": "100-continue"}, length=len(body)))
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 100")
        writer.write(body)
        assert (await read(reader)).status == 200
        writer.write(b"HEAD /v2 HTTP/1.1\r\nhost: e\r\n\r\nGET /v2 HTTP/1.0\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200")
        assert (await read(reader)).json["name"] == "appliance-edge"
        assert await asyncio.wait_for(reader.read(), 10) == b"", "HTTP/1.0 waits for the connection's end"
        writer.close()
