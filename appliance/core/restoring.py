"""Owns getting one's senses back after a restart within the same boot: from a snapshot, and what was heard since.

After another boot bins mean nothing, and senses start empty. Never in here: where a snapshot is kept.
"""

import zlib
from collections.abc import Container, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from appliance.core.clock import Instant
from appliance.core.readings import Heard, Reading
from appliance.core.senses import Sense
from appliance.core.sensing import Routes
from appliance.core.state import ApplianceState, State
from appliance.core.windows import Window
from appliance.core.words import Said, Told


class PackedSense(msgspec.Struct, frozen=True, array_like=True):
    """What of a sense outlives the process; the channel comes from the config, and must be the same."""

    quantity: str
    max_age_ns: int
    sources: Mapping[str, Heard]
    window: Window


class PackedAppliance(msgspec.Struct, frozen=True, array_like=True):
    """What of an appliance's senses outlives the process; `words` are channel -> source -> what it said last."""

    senses: dict[str, PackedSense]
    words: dict[str, dict[str, Said]] = {}


_Packed = dict[str, PackedAppliance]
_DECODE = msgspec.msgpack.Decoder(_Packed).decode
MAX_BYTES = 64 << 20
"""A blob never unpacks to more."""


def pack(state: State) -> bytes:
    """Return all senses of `state`, in a few kilobytes a channel: an SD card takes this every few minutes."""
    return zlib.compress(
        msgspec.msgpack.encode({name: _packed(appliance) for name, appliance in state.appliances.items()}), 1
    )


def unpack(blob: bytes, state: State) -> State:
    """Return `state` with the senses of `blob`, where appliance and channel are still the same. A blob that can't be read
    gives the state as it is: senses are heard again.
    """
    try:
        packed = _DECODE(zlib.decompressobj().decompress(blob, MAX_BYTES))
    except (zlib.error, msgspec.MsgspecError):
        return state
    appliances = {}
    for name, appliance in state.appliances.items():
        kept = packed.get(name, PackedAppliance({}))
        senses = {
            channel: Sense(sense.channel, found.sources, found.window)
            if (found := _same(kept.senses.get(channel), sense)) is not None
            else sense
            for channel, sense in appliance.senses.items()
        }
        words = {
            channel: Told(told.channel, told.expects, _still(kept.words.get(channel, {}), told))
            for channel, told in appliance.words.items()
        }
        appliances[name] = replace(appliance, senses=senses, words=words)
    return replace(state, appliances=appliances)


def reconfigured(state: State, fresh: State, changed: Container[str]) -> State:
    """Return `fresh`, the start of a home by a new config, with what `state` remembers and senses of each appliance that stayed.

    `changed` are the appliances that stayed by name but are another device now: of these nothing is kept. Models speak anew,
    and so does the edge: what it said was of the bigger model that stood there before, in the order of that one's labels.
    """
    appliances = {}
    for name, new in fresh.appliances.items():
        old = state.appliances.get(name)
        if old is None or name in changed:
            appliances[name] = new
            continue
        senses = {
            channel: Sense(sense.channel, before.sources, before.window)
            if (before := old.senses.get(channel)) is not None and before.channel == sense.channel
            else sense
            for channel, sense in new.senses.items()
        }
        words = {
            channel: Told(told.channel, told.expects, _still(said.sources, told))
            if (said := old.words.get(channel)) is not None
            else told
            for channel, told in new.words.items()
        }
        appliances[name] = replace(
            old,
            senses=senses,
            words=words,
            learned=new.learned,
            offered=new.offered,
            last=None,
            ends=None,
            wake_ns=new.wake_ns,
        )
    return replace(state, appliances=appliances, wake_ns=0)


def rehear(
    state: State,
    routes: Routes,
    word_routes: Routes,
    heard: Iterable[tuple[Reading, Instant, bool]],
) -> State:
    """Return `state` after its senses heard `heard` (reading, when, retained) again, in order. Nothing is decided."""
    senses = {name: dict(appliance.senses) for name, appliance in state.appliances.items()}
    words = {name: dict(appliance.words) for name, appliance in state.appliances.items()}
    for reading, at, retained in heard:
        for name, channel in word_routes.get((reading.device, reading.metric), ()):
            words[name][channel] = words[name][channel].hear(
                f"{reading.device}:{reading.metric}", reading.value, at, retained=retained
            )
        for name, channel in routes.get((reading.device, reading.metric), ()):
            senses[name][channel] = senses[name][channel].hear(
                f"{reading.device}:{reading.metric}", reading, at, retained=retained, resent=False
            )
    appliances = {
        name: replace(appliance, senses=senses[name], words=words[name])
        for name, appliance in state.appliances.items()
    }
    return replace(state, appliances=appliances)


def _packed(appliance: ApplianceState) -> PackedAppliance:
    return PackedAppliance(
        {
            name: PackedSense(
                sense.channel.quantity.name, sense.channel.max_age_ns, sense.sources, sense.window
            )
            for name, sense in appliance.senses.items()
        },
        {name: dict(told.sources) for name, told in appliance.words.items()},
    )


def _still(kept: Mapping[str, Said], told: Told) -> Mapping[str, Said]:
    """Return what of `kept` is still a sensor of the channel, and still one of its words."""
    return {
        source: said
        for source, said in kept.items()
        if source in told.expects and (said.word is None or said.word in told.channel.words)
    }


def _same(found: PackedSense | None, sense: Sense) -> PackedSense | None:
    if found is None or (found.quantity, found.max_age_ns) != (
        sense.channel.quantity.name,
        sense.channel.max_age_ns,
    ):
        return None
    return found if found.window.resolution == sense.channel.quantity.resolution else None
