"""Owns how a decision becomes a row and a row a decision, and the chain of digests that tells whether one is missing.

Never in here: connections.
"""

import hashlib
import sqlite3
from typing import Any

import msgspec

from appliance.core.arbitration import Authority, Voice
from appliance.core.clock import Instant
from appliance.core.events import Decision, Input, Memory

GENESIS = bytes(32)
"""What the first decision's digest continues."""


class Detail(msgspec.Struct, frozen=True):
    """What of a decision is kept as JSON: it is read whole or not at all."""

    because: str
    authority: int
    voices: tuple[Voice, ...]
    inputs: tuple[Input, ...]
    commanded: bool


class Kept(msgspec.Struct, frozen=True):
    """A decision out of the history: made `count` times in a row, last at `last_at`; `recorded`: it lies on disk."""

    decision: Decision
    count: int
    last_at: Instant
    recorded: bool


def detail_of(decision: Decision) -> str:
    """Return the JSON of what has no column of its own. Raises ValueError where a text in it is none (a lone surrogate)."""
    said = Detail(
        decision.because, int(decision.authority), decision.voices, decision.inputs, decision.commanded
    )
    return msgspec.json.encode(said).decode()


def digest(before: bytes, decision: Decision, detail: str) -> bytes:
    """Return sha256 over the digest `before` and everything of the decision that never changes (its count does)."""
    fixed = [
        decision.id,
        decision.at.boot_id,
        decision.at.boottime_ns,
        decision.at.wall_ns,
        decision.appliance,
        decision.action,
        decision.source,
        detail,
    ]
    return hashlib.sha256(before + msgspec.json.encode(fixed)).digest()


COLUMNS = (
    "decisions.id, boots.boot_id, boottime, wall, appliance, action, source, detail, digest, count,"
    " (SELECT boot_id FROM boots AS b WHERE b.id = last_boot), last_boottime, last_wall"
)
FROM = "decisions LEFT JOIN boots ON boots.id = decisions.boot"
DIGEST = 8
"""Where in a row of `COLUMNS` the digest lies."""

_DETAIL = msgspec.json.Decoder(Detail)
_MEMORY = msgspec.json.Decoder(Memory)


def kept_of(row: tuple[Any, ...]) -> Kept:
    """Return the decision in a row of `COLUMNS`. Raises sqlite3.DatabaseError where it is no decision any more."""
    (
        number,
        boot_id,
        boottime,
        wall,
        appliance,
        action,
        source,
        detail,
        _,
        count,
        last_boot,
        last_boottime,
        last_wall,
    ) = row
    try:
        said = _DETAIL.decode(detail)
        at = msgspec.convert((boot_id, boottime, wall), tuple[str, int, int])
        decision = Decision(
            number, Instant(*at), appliance, action, said.because, Authority(said.authority), source,
            said.voices, said.inputs, said.commanded,
        )  # fmt: skip
    except (msgspec.MsgspecError, ValueError, TypeError) as broken:
        raise sqlite3.DatabaseError(f"decision {number} can't be read: {broken}") from None
    return Kept(decision, count, Instant(last_boot or boot_id, last_boottime, last_wall), recorded=True)


def detail_in(row: tuple[Any, ...]) -> str:
    """Return the JSON in a row of `COLUMNS`, as it was written: the digest is over that text."""
    return str(row[7])


def memory_text(memory: Memory) -> str:
    """Return the JSON of what an appliance remembers."""
    return msgspec.json.encode(memory).decode()


def memory_of(text: str) -> Memory:
    """Return what an appliance remembers. Raises sqlite3.DatabaseError where the text is none."""
    try:
        return _MEMORY.decode(text)
    except (msgspec.MsgspecError, TypeError) as broken:
        raise sqlite3.DatabaseError(f"a memory can't be read: {broken}") from None
