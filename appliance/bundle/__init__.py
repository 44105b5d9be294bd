"""A model bundle: card, manifest, golden rows, and verification. Bytes in, values out; no onnxruntime."""

from appliance.bundle.against import Against, Gain
from appliance.bundle.checking import (
    MAX_FILE,
    REFITS,
    TEACHER,
    TEACHER_OPERATORS,
    Bundle,
    Card,
    FileEntry,
    Manifest,
    Score,
    card_schema,
    load_bundle,
    shipped,
    write_bundle,
)
from appliance.bundle.head import Head, Refitted, Retrained
from appliance.bundle.shelf import Shelf, Standing

__all__ = [
    "MAX_FILE",
    "REFITS",
    "TEACHER",
    "TEACHER_OPERATORS",
    "Against",
    "Bundle",
    "Card",
    "FileEntry",
    "Gain",
    "Head",
    "Manifest",
    "Refitted",
    "Retrained",
    "Score",
    "Shelf",
    "Standing",
    "card_schema",
    "load_bundle",
    "shipped",
    "write_bundle",
]
