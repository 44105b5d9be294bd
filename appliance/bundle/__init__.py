"""A model bundle: card, manifest, golden rows, and verification. Bytes in, values out; no onnxruntime."""

from appliance.bundle.checking import (
    Bundle,
    Card,
    FileEntry,
    Manifest,
    Score,
    load_bundle,
    shipped,
    write_bundle,
)

__all__ = ["Bundle", "Card", "FileEntry", "Manifest", "Score", "load_bundle", "shipped", "write_bundle"]
