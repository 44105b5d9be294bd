"""A model repository of Triton: its config parses by the fields that Triton knows, and what Triton could not serve is refused."""

import msgspec
import numpy as np
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from onnx import TensorProto, helper

from appliance.bundle import TEACHER, TEACHER_OPERATORS, Head, Refitted, load_bundle, shipped
from appliance.bundle.triton import triton_files, write_triton
from appliance.bundle.walk import signature
from appliance.cli import cli
from appliance.errors import ModelError

FIELDS = {
    "Config": "name:1:s platform:2:s version_policy:3:.Policy max_batch_size:4:i input:5:*.Input output:6:*.Output"
    " instance_group:7:*.Group dynamic_batching:11:.Batching model_warmup:16:*.Warmup",
    "Policy": "latest:1:.Latest",
    "Latest": "num_versions:1:u",
    "Input": "name:1:s data_type:2:.DataType dims:4:*l",
    "Output": "name:1:s data_type:2:.DataType dims:3:*l label_filename:4:s",
    "Group": "count:2:i kind:4:.Kind",
    "Batching": "preferred_batch_size:1:*i max_queue_delay_microseconds:2:U",
    "Warmup": "name:1:s batch_size:2:u inputs:3:*.Entry",
    "Entry": "key:1:s value:2:.Zeros",
    "Zeros": "data_type:1:.DataType dims:2:*l zero_data:3:b",
}
"""The part of Triton's ModelConfig that is written here, in its names and types (numbers of fields are of no account in text): field:number:type."""
ENUMS = {"DataType": {"TYPE_INVALID": 0, "TYPE_FP32": 11}, "Kind": {"KIND_AUTO": 0, "KIND_CPU": 2}}
TYPES = {"s": 9, "i": 5, "l": 3, "u": 13, "U": 4, "b": 8}


def parsed(text: str):
    """Parse strictly: a field or a word that is not in `FIELDS` is an error, as it is for the server."""
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="t", syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for word, number in values.items():
            enum.value.add(name=word, number=number)
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields.split():
            named, number, kind = field.split(":")
            made = message.field.add(name=named, number=int(number), label=3 if kind[0] == "*" else 1)
            kind = kind.lstrip("*")
            if kind[0] == ".":
                made.type, made.type_name = (14 if kind[1:] in ENUMS else 11), f".t{kind}"
            else:
                made.type = TYPES[kind]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Config"))()
    return text_format.Parse(text, config)


@pytest.fixture(scope="module")
def teacher():
    return load_bundle(shipped(f"presence{TEACHER}"), allowed=TEACHER_OPERATORS)


def test_the_repository_serves_what_the_card_says(teacher, tmp_path) -> None:
    done = CliRunner().invoke(
        cli, ["export", "triton", f"presence{TEACHER}", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    folder = tmp_path / teacher.card.name
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        f"{teacher.card.version}/model.onnx",
        "config.pbtxt",
        "labels.txt",
    ]
    config = parsed((folder / "config.pbtxt").read_text("utf-8"))
    assert (config.name, config.platform) == (teacher.card.name, "onnxruntime_onnx")
    assert [(one.name, list(one.dims), one.data_type) for one in config.input] == [
        ("features", [len(teacher.card.features.features)], 11)
    ]
    assert [(one.name, list(one.dims)) for one in config.output] == [
        ("probabilities", [len(teacher.card.labels)])
    ]
    assert (folder / config.output[0].label_filename).read_text("utf-8").splitlines() == list(
        teacher.card.labels
    )
    assert list(config.dynamic_batching.preferred_batch_size) == [16, 32, 64]
    assert max(config.dynamic_batching.preferred_batch_size) <= config.max_batch_size
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    assert config.version_policy.latest.num_versions == 2
    assert config.model_warmup[0].inputs[0].value.zero_data
    # What the server's backend would run: by the names of the config, any number of rows.
    session = ort.InferenceSession((folder / str(teacher.card.version) / "model.onnx").read_bytes())
    (said,) = session.run([config.output[0].name], {config.input[0].name: teacher.golden_rows})
    assert np.abs(said - teacher.golden_probabilities).max() < 1e-5


def test_words_in_a_name_or_title_cannot_write_fields_of_the_config(teacher) -> None:
    card = msgspec.structs.replace(teacher.card, title='x"\nplatform: "python"\n# é')
    text = triton_files(msgspec.structs.replace(teacher, card=card), batch=1, delay_us=0)[
        f"{card.name}/config.pbtxt"
    ].decode("ascii")
    config = parsed(text)
    assert config.platform == "onnxruntime_onnx"
    # A batch of one is no batch: nobody waits for others.
    assert not config.HasField("dynamic_batching")


def test_two_versions_lie_side_by_side_and_one_is_never_replaced_by_another_of_its_number(
    teacher, tmp_path
) -> None:
    write_triton(teacher, tmp_path, batch=8, delay_us=10)
    newer = msgspec.structs.replace(
        teacher, card=msgspec.structs.replace(teacher.card, version=teacher.card.version + 1)
    )
    folder = write_triton(newer, tmp_path, batch=8, delay_us=10)
    assert {path.name for path in folder.iterdir()} == {"4", "5", "config.pbtxt", "labels.txt"}
    write_triton(newer, tmp_path, batch=16, delay_us=10)
    assert parsed((folder / "config.pbtxt").read_text("utf-8")).max_batch_size == 16
    (folder / "5" / "model.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match="another model of the same version"):
        write_triton(newer, tmp_path, batch=8, delay_us=10)
    assert (folder / "5" / "model.onnx").read_bytes() == b"another"


def plain(inputs: list, outputs: list) -> bytes:
    nodes = [helper.make_node("Softmax", [inputs[0].name], [outputs[0].name])]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs)).SerializeToString()


def tensor(name: str, kind: int, shape: list):
    return helper.make_tensor_value_info(name, kind, shape)


F, D, I = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


@pytest.mark.parametrize(
    ("inputs", "outputs", "word"),
    [
        ([tensor("x", F, [1, 12])], [tensor("y", F, ["N", 2])], "input is x"),
        ([tensor("x", D, ["N", 12])], [tensor("y", F, ["N", 2])], "input is x"),
        ([tensor("x", F, ["N", 11])], [tensor("y", F, ["N", 2])], "input is x"),
        ([tensor("x", F, ["N", 12]), tensor("z", F, ["N", 12])], [tensor("y", F, ["N", 2])], "input is x"),
        ([tensor("x", F, ["N", 12])], [tensor("y", F, ["N", 2]), tensor("label", I, ["N"])], "output is y"),
    ],
    ids=["one row only", "doubles", "other features", "two inputs", "labels besides"],
)
def test_a_signature_that_triton_could_not_batch_is_refused(teacher, inputs, outputs, word) -> None:
    odd = msgspec.structs.replace(teacher, model=plain(inputs, outputs))
    with pytest.raises(ModelError, match=word):
        triton_files(odd, batch=8, delay_us=0)


def test_a_home_s_own_version_and_a_name_that_leads_elsewhere_are_refused(teacher, tmp_path) -> None:
    made = Refitted(1, teacher.digest, "2026-01-01", 7, 100, Head(1.0, (0.0, 0.0)))
    for card, word in (
        (msgspec.structs.replace(teacher.card, refit=made), "home's own version"),
        (msgspec.structs.replace(teacher.card, name="../../elsewhere"), "no name for a folder"),
    ):
        with pytest.raises(ModelError, match=word):
            write_triton(msgspec.structs.replace(teacher, card=card), tmp_path, batch=8, delay_us=0)
    assert not list(tmp_path.iterdir())
    refused = CliRunner().invoke(cli, ["export", "triton", "absence", "--out", str(tmp_path)])
    assert "absence" in str(refused.exception)


def test_the_signature_is_read_without_running_the_model(teacher) -> None:
    session = ort.InferenceSession(teacher.model)
    into, out = signature(teacher.model)
    assert [(one.name, one.shape[1:]) for one in into] == [
        (one.name, tuple(one.shape[1:])) for one in session.get_inputs()
    ]
    assert [(one.name, one.shape[1:]) for one in out] == [
        (one.name, tuple(one.shape[1:])) for one in session.get_outputs()
    ]
    assert {one.element for one in into + out} == {TensorProto.FLOAT}
