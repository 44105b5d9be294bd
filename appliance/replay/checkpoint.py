"""Owns the checkpoint: the whole state of a home as a blob, from which a replay goes on as the home itself did.

Never in here: where it is kept, or when one is made.
"""

import hashlib
import zlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from appliance import __version__
from appliance.core import restoring
from appliance.core.clock import Instant
from appliance.core.events import Memory
from appliance.core.home import Home
from appliance.core.state import State

MAX_BYTES = 64 << 20
"""A blob never unpacks to more."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The state without its senses and words, these by themselves as `restoring` packs them, and who decides from here on (`digest`),
    perhaps without commanding anything (`observe`).
    """

    digest: str
    state: State
    senses: bytes
    observe: bool = False


_PLAIN = (str, int, float, bool, type(None))
_DECODE = msgspec.msgpack.Decoder(Checkpoint).decode


def digest(home: Home) -> str:
    """Return what tells one way of deciding from another: this version, its appliances, their models, the zone."""
    parts: list[object] = [__version__, str(home.zone)]
    parts += [repr_of(spec) for _, spec in sorted(home.appliances.items())]
    parts += [
        (name, repr_of(model.trust), sorted(model.spec.channels))
        for name, model in sorted(home.classifiers.items())
    ]
    parts += [(name, repr_of(edge)) for name, edge in sorted(home.edges.items())]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def repr_of(value: object) -> str:
    """Return a text of `value` that is the same in every process: sets have an order there."""
    if isinstance(value, Mapping):
        return (
            "{" + ",".join(sorted(f"{repr_of(key)}:{repr_of(inner)}" for key, inner in value.items())) + "}"
        )
    if isinstance(value, frozenset | set):
        return "{" + ",".join(sorted(map(repr_of, value))) + "}"
    if isinstance(value, tuple | list):
        return "(" + ",".join(map(repr_of, value)) + ")"
    if isinstance(value, msgspec.Struct):
        inner = ",".join(repr_of(getattr(value, name)) for name in value.__struct_fields__)
        return f"{type(value).__name__}({inner})"
    # What is derived, as a compiled condition, follows from the rest; its repr may be an address.
    return repr(value) if isinstance(value, _PLAIN) else type(value).__name__


def pack(home: Home, state: State) -> bytes:
    """Return the blob of `state`: some ten kilobytes an appliance."""
    bare = {name: replace(appliance, senses={}, words={}) for name, appliance in state.appliances.items()}
    kept = Checkpoint(digest(home), replace(state, appliances=bare), restoring.pack(state), home.observe)
    return zlib.compress(msgspec.msgpack.encode(kept), 1)


def unpack(blob: bytes) -> Checkpoint | None:
    """Return what is in a blob, or None where it can't be read, being of another version perhaps."""
    try:
        inflate = zlib.decompressobj()
        return _DECODE(inflate.decompress(blob, MAX_BYTES))
    except (zlib.error, msgspec.MsgspecError):
        return None


def go_on(home: Home, kept: Checkpoint, at: Instant) -> State:
    """Return the very state of `kept`, for the home that made it (their digests are the same)."""
    fresh = home.at_start({}, at)
    appliances = {
        name: replace(kept.state.appliances[name], senses=appliance.senses, words=appliance.words)
        if name in kept.state.appliances
        else appliance
        for name, appliance in fresh.appliances.items()
    }
    return restoring.unpack(kept.senses, replace(kept.state, appliances=appliances))


def begin(home: Home, kept: Checkpoint, at: Instant, memories: Mapping[str, Memory] | None = None) -> State:
    """Return the state of another home that starts where `kept` was made: with its senses, where the channel is the same.

    It remembers `memories`, or what was remembered then; holds and timers only of rules that it has too.
    """
    known = memories or {name: appliance.memory for name, appliance in kept.state.appliances.items()}
    fitting = {}
    for name, spec in home.appliances.items():
        if name in known:
            rules = {rule.id for rule in spec.rules}
            timers = {timer.key for rule in spec.rules for timer in rule.timers}
            memory = known[name]
            fitting[name] = replace(
                memory,
                holds=tuple(rule for rule in memory.holds if rule in rules),
                acknowledged=tuple(rule for rule in memory.acknowledged if rule in rules),
                true_since={key: since for key, since in memory.true_since.items() if key in timers},
            )
    state = home.at_start(fitting, at)
    return restoring.unpack(kept.senses, state)
