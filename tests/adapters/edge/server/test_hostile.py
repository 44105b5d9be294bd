"""Whatever is sent, however slowly, by however many: an error of the protocol, and the next one is served."""

import asyncio
import json
import shutil
import ssl
import subprocess
from pathlib import Path

import numpy as np
import pytest

from appliance.adapters.edge.server.limits import Limits
from appliance.adapters.edge.server.models import Served
from appliance.adapters.edge.wire import encode_request
from tests.adapters.edge.server.client import ask, bend, infer, read, request, served

MODELS = Path(__file__).parents[4] / "models"
INFER = "/v2/models/presence/infer"
ROW = np.zeros((1, 8), np.float32)
GOOD, HEADERS = encode_request(ROW, id="q", binary=False)


def body(**changed) -> bytes:
    tensor = {"name": "features", "shape": [1, 8], "datatype": "FP32", "data": [0.0] * 8}
    return json.dumps({"inputs": [tensor | changed]}).encode()


WRONG = {
    "no JSON": ("POST", INFER, b"{", {}, 400),
    "nothing": ("POST", INFER, b"", {}, 400),
    "no inputs": ("POST", INFER, b'{"inputs":[]}', {}, 400),
    "another input": ("POST", INFER, body(name="f"), {}, 400),
    "too few columns": ("POST", INFER, body(shape=[1, 7], data=[0] * 7), {}, 400),
    "no rows": ("POST", INFER, body(shape=[0, 8], data=[]), {}, 400),
    "another rank": ("POST", INFER, body(shape=[8]), {}, 400),
    "ragged": ("POST", INFER, body(data=[[0] * 7]), {}, 400),
    "another type": ("POST", INFER, body(datatype="FP64"), {}, 400),
    "NaN in JSON": ("POST", INFER, body(data=[float("nan")] * 8), {}, 400),
    "huge number": ("POST", INFER, body(data=[1e300] * 8), {}, 400),
    "deep": ("POST", INFER, b'{"inputs":' + b"[" * 50_000, {}, 400),
    "another output": ("POST", INFER, body()[:-1] + b',"outputs":[{"name":"x"}]}', {}, 400),
    "a length that lies": ("POST", INFER, body(), {"inference-header-content-length": "9999"}, 400),
    "two lengths": ("POST", INFER, body(), {"Inference-Header-Content-Length": "5\r\ninference-header-content-length: 6"}, 400),
    "packed": ("POST", INFER, body(), {"content-encoding": "gzip"}, 415),
    "no such model": ("POST", "/v2/models/nobody/infer", body(), {}, 404),
    "no such version": ("POST", "/v2/models/presence/versions/3/infer", body(), {}, 404),
    "a path out of the shelf": ("POST", "/v2/repository/models/..%2f..%2fetc/load", b"", {}, 404),
    "dots": ("POST", "/v2/repository/models/../load", b"", {}, 404),
    "a model that comes along": ("POST", "/v2/repository/models/presence/load", b'{"parameters":{"file:1/model.onnx":"AA=="}}', {}, 400),
    "not served": ("POST", "/v2/repository/models/nobody/unload", b"", {}, 404),
    "no resource": ("GET", "/", b"", {}, 404),
    "GET to ask": ("GET", INFER, b"", {}, 405),
    "DELETE": ("DELETE", "/v2/models/presence", b"", {}, 405),
    "from a page": ("POST", INFER, body(), {"origin": "http://evil.example"}, 403),
    "from a page on another site": ("GET", "/v2", b"", {"sec-fetch-site": "cross-site"}, 403),
}  # fmt: skip


async def test_what_is_wrong_gets_its_error_and_the_connection_goes_on(shelf) -> None:
    async with served(shelf) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for name, (method, path, sent, headers, status) in WRONG.items():
            writer.write(request(method, path, sent, headers))
            said = await read(reader)
            assert said.status == status, (name, said.body)
            assert set(said.json) == {"error"}, name
            assert said.json["error"], name
        writer.write(request("POST", INFER, GOOD, HEADERS))
        assert (await read(reader)).status == 200
        writer.close()


async def test_a_row_that_is_not_a_number_gets_what_the_model_says_of_it(shelf) -> None:
    async with served(shelf) as server:
        sent, headers = encode_request(np.full((1, 8), np.nan, np.float32), id="", binary=True)
        sent = sent.replace(b'"binary_data":true', b'"binary_data":false')
        said = await ask(
            server.port,
            "POST",
            INFER,
            sent,
            headers | {"inference-header-content-length": str(len(sent) - 32)},
        )
        assert said.status == 200
        assert all(value is None or 0 <= value <= 1 for value in said.json["outputs"][0]["data"])
        await infer(server.port, "presence", ROW)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("POST", INFER, b"x" * 60_000, length=2_000_000_000), 413),
        (request("POST", INFER, b"", length=20_000), 413),
        (
            request("POST", INFER, b"4e20\r\n" + b"x" * 0x4E20, {"content-length": None, "transfer-encoding": "chunked"}),
            413,
        ),
        (request("GET", "/v2", headers={"x": "y" * 40_000}), 431),
        (b"GET /" + b"a" * 100_000, 431),
        (b"HELO mail.example\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, 400),
        (b"GET /v2 HTTP/1.1\r\nhost: e\r\ncontent-length: -5\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nhost: e\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef", 400),
        (b"POST /v2 HTTP/1.1\r\nhost: e\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nhost: e\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)  # fmt: skip
async def test_what_is_too_large_or_no_http_is_told_so_and_cut_off(shelf, sent, status) -> None:
    async with served(shelf, Limits(body=16_384)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        said = await read(reader)
        # A parser may find that a head is none before it is too large.
        assert said.status == status or (status == 431 and said.status == 400), said.body
        assert said.headers["connection"] == "close"
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await infer(server.port, "presence", ROW)


async def test_a_client_that_stops_in_the_middle_or_leaves_holds_nothing(shelf) -> None:
    async with served(shelf) as server:
        whole = request("POST", INFER, GOOD, HEADERS)
        for cut in (1, 20, len(whole) - len(GOOD), len(whole) - 1):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(whole[:cut])
            await writer.drain()
            writer.close()
        for _ in range(20):  # gone before the answer
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(whole)
            await writer.drain()
            writer.transport.abort()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(whole)
        writer.write_eof()  # says no more, and still wants its answer
        assert (await read(reader)).status == 200
        writer.close()
        async with asyncio.timeout(10):
            while server.site.connections:
                await asyncio.sleep(0.02)


async def test_a_request_that_drips_is_ended_and_so_is_who_never_asks(shelf) -> None:
    async with served(shelf, Limits(receive_s=0.4, idle_s=0.4)) as server:
        silent, _keep = await asyncio.open_connection("127.0.0.1", server.port)
        for sent in (b"POST /v2/mod", request("POST", INFER, GOOD[:10], HEADERS, length=len(GOOD))):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for byte in sent[:-1]:
                writer.write(bytes([byte]))
            await writer.drain()
            assert (await read(reader)).status == 408
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        assert await asyncio.wait_for(silent.read(), 10) == b""


async def test_an_answer_that_nobody_takes_is_dropped(shelf) -> None:
    async with served(shelf, Limits(send_s=0.4, receive_s=60, idle_s=60, queue_rows=1 << 20)) as server:
        sent, headers = encode_request(np.zeros((2000, 8), np.float32), id="", binary=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.transport.pause_reading()
        writer.transport.set_write_buffer_limits(high=1 << 30)
        for _ in range(200):
            writer.write(request("POST", INFER, sent, headers))
        async with asyncio.timeout(60):
            while server.site.counts.refused.get("untaken") != 1:
                await asyncio.sleep(0.05)
        await infer(server.port, "presence", ROW)
        writer.transport.abort()
        del reader


async def test_a_thousand_connections_that_ask_nothing_keep_nobody_out(shelf) -> None:
    async with served(shelf, Limits(connections=700)) as server:
        crowd = []
        for _ in range(10):
            crowd += await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", server.port) for _ in range(100))
            )
            await infer(server.port, "presence", ROW)
        assert len(server.site.connections) <= 701
        assert server.site.counts.refused["crowded_out"] >= 300
        for _, writer in crowd:
            writer.transport.abort()
        await infer(server.port, "presence", ROW)


async def test_more_than_waits_for_a_model_is_told_to_come_again(shelf) -> None:
    async with served(shelf, Limits(queue_rows=4, max_delay_s=0.3)) as server:
        rows = np.arange(80, dtype=np.float32).reshape(10, 8)
        bodies = [encode_request(rows[i : i + 1], id="", binary=False) for i in range(10)]
        said = await asyncio.gather(*(ask(server.port, "POST", INFER, *one) for one in bodies))
        assert sorted(one.status for one in said) == [200] * 4 + [503] * 6


async def test_all_bodies_together_are_bounded(shelf) -> None:
    async with served(shelf, Limits(bodies=10_000)) as server:
        held = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request("POST", INFER, b" " * 4_000, HEADERS, length=5_000))
            await writer.drain()
            held.append((reader, writer))
        first = await asyncio.wait(
            [asyncio.create_task(read(reader)) for reader, _ in held],
            return_when="FIRST_COMPLETED",
            timeout=10,
        )
        assert [task.result().status for task in first[0]] == [503]
        for task in first[1]:
            task.cancel()
        for _, writer in held:
            writer.close()


async def test_noise_and_bent_requests_never_bring_it_down(shelf) -> None:
    async with served(shelf, Limits(receive_s=5)) as server:
        await bend(server.port, 300)
        await infer(server.port, "presence", ROW)


async def test_a_model_that_is_replaced_or_cut_while_it_serves_changes_nothing_until_it_is_loaded(
    shelf,
) -> None:
    file = shelf / "presence" / "model.onnx"
    async with served(shelf, Limits(cache_entries=0)) as server:
        before = await infer(server.port, "presence", ROW)
        whole = file.read_bytes()
        for broken in (b"", whole[: len(whole) // 2], (MODELS / "air-event" / "model.onnx").read_bytes()):
            file.write_bytes(broken)
            assert (await infer(server.port, "presence", ROW)).tobytes() == before.tobytes()
            said = await ask(server.port, "POST", "/v2/repository/models/presence/load")
            assert said.status == 400
            assert "not the file" in said.json["error"]
            assert str(shelf.parent) not in said.json["error"], "where the shelf lies is not for who asks"
            index = (await ask(server.port, "POST", "/v2/repository/index")).json
            assert [one["reason"] for one in index if one["name"] == "presence"] == [said.json["error"]]
            assert (await infer(server.port, "presence", ROW)).tobytes() == before.tobytes()
        shutil.rmtree(shelf / "presence")
        assert (await infer(server.port, "presence", ROW)).tobytes() == before.tobytes()
        assert (await ask(server.port, "POST", "/v2/repository/models/presence/load")).status == 404
        shutil.copytree(MODELS / "presence", shelf / "presence")
        assert (await ask(server.port, "POST", "/v2/repository/models/presence/load")).status == 200
        assert (await ask(server.port, "POST", "/v2/repository/models/presence/unload")).status == 200
        assert (await ask(server.port, "POST", INFER, GOOD, HEADERS)).status == 404
        assert not server.site._batchers, "a model that is served no more still takes memory"


async def test_what_is_no_model_is_not_served_and_the_index_says_why(shelf) -> None:
    shutil.copytree(MODELS / "presence", shelf / "other-name")
    (shelf / "empty").mkdir()
    (shelf / "noise").mkdir()
    (shelf / "noise" / "model.onnx").write_bytes(b"\x08\x07noise" * 100)
    (shelf / "linked").mkdir()
    (shelf / "linked" / "model.onnx").symlink_to(MODELS / "presence" / "model.onnx")
    shutil.copytree(MODELS / "presence", shelf / "versions" / "9")
    async with served(shelf) as server:
        index = (await ask(server.port, "POST", "/v2/repository/index")).json
        states = {one["name"]: (one["state"], one["reason"]) for one in index}
        assert not any(str(shelf.parent) in reason for _, reason in states.values())
        for name, why in (
            ("other-name", "holds presence"), ("empty", "holds no model"), ("noise", ""), ("linked", "plain file"),
            ("versions", "holds presence"),
        ):  # fmt: skip
            assert states[name][0] == "UNAVAILABLE", name
            assert why in states[name][1]
            assert states[name][1] not in ("", "unloaded")
        ready = (await ask(server.port, "POST", "/v2/repository/index", b'{"ready":true}')).json
        assert {one["name"] for one in ready} == {"plain", "presence", "presence-teacher"}


async def test_versions_stand_beside_each_other_and_the_newest_answers(shelf) -> None:
    for version in ("1", "12"):
        (shelf / "many" / version).mkdir(parents=True)
        model = MODELS / ("air-event" if version == "1" else "presence") / "model.onnx"
        shutil.copy(model, shelf / "many" / version)
    async with served(shelf) as server:
        assert (await ask(server.port, "GET", "/v2/models/many")).json["versions"] == ["12", "1"]
        await infer(server.port, "many", ROW)
        await infer(server.port, "many", ROW[:, :4], path="/v2/models/many/versions/1/infer")


async def test_a_fault_of_ours_is_a_500_and_is_counted_and_others_are_served(shelf, monkeypatch) -> None:
    def broken(self, inputs):
        raise ZeroDivisionError

    async with served(shelf, Limits(cache_entries=0)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(Served, "check", broken)
            assert (await ask(server.port, "POST", INFER, GOOD, HEADERS)).status == 500
        await infer(server.port, "presence", ROW)
        assert server.site._bugs == 1
        server.site._bugs = 0


async def test_without_the_token_nothing_but_health_is_told(shelf) -> None:
    token = "t" * 22
    async with served(shelf, token=token) as server:
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert (await ask(server.port, "GET", path)).status == 200
        for wrong in (
            {},
            {"authorization": "Bearer x"},
            {"authorization": f"Basic {token}"},
            {"authorization": f"Bearer {token}\xff"},
        ):
            for method, path in (
                ("GET", "/v2"),
                ("GET", "/metrics"),
                ("POST", INFER),
                ("POST", "/v2/repository/index"),
            ):
                said = await ask(server.port, method, path, GOOD if path == INFER else b"", wrong)
                assert said.status == 401, (path, wrong)
        await infer(server.port, "presence", ROW, headers={"authorization": f"Bearer {token}"})


async def test_from_another_machine_models_are_changed_with_a_token_only(shelf) -> None:
    async with served(shelf) as server:
        server.site._repository._changes = False  # what `start` says of an address that is no loopback one
        for action in ("load", "unload"):
            assert (await ask(server.port, "POST", f"/v2/repository/models/presence/{action}")).status == 403
        await infer(server.port, "presence", ROW)


async def test_over_tls_it_answers_and_plain_text_does_not_stop_it(shelf, tmp_path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=edge", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with served(shelf, tls=context) as server:
        _, plain = await asyncio.open_connection("127.0.0.1", server.port)
        plain.write(request("GET", "/v2"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting)
        writer.write(request("POST", INFER, GOOD, HEADERS))
        assert (await read(reader)).status == 200
        writer.write(request("POST", INFER, b"", length=20_000_000))
        assert (await read(reader)).status == 413
        writer.close()
        plain.close()
