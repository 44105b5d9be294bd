"""Owns what a server of the Open Inference Protocol v2 tells of itself and of its models.

Never in here: where a model lies, or the tensors of a request (wire).
"""

import msgspec

from appliance.errors import EdgeError


class TensorMetadata(msgspec.Struct, frozen=True):
    """What a model says of a tensor; -1 in `shape` is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What GET v2/models/NAME tells. `parameters` is ours: where the model comes from."""

    name: str
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    versions: tuple[str, ...] = ()
    parameters: dict[str, str] = {}


class ServerMetadata(msgspec.Struct, frozen=True):
    """What GET v2 tells."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


_METADATA = msgspec.json.Decoder(ModelMetadata)


def decode_metadata(body: bytes) -> ModelMetadata:
    """Return what a server tells of a model. Raises EdgeError: nothing of the protocol."""
    try:
        return _METADATA.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise EdgeError(
            f"the edge's metadata is none: {str(broken)[:200]}", hint="look at what the edge server is"
        ) from None
