"""Owns the answers that are kept: by the exact bytes of what was asked and the digest of the model, the longest unused goes first.

Never in here: like cases (the client's cache has these).
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class Answers:
    """At most `entries` answers to requests of at most `size` bytes of values. Only the loop uses it."""

    def __init__(self, entries: int, size: int) -> None:
        self._entries, self._size = entries, size
        self._kept: OrderedDict[Hashable, Arrays] = OrderedDict()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def key(self, digest: str, inputs: Mapping[str, NDArray[Any]]) -> Hashable | None:
        """Return what such an answer is kept under; None where it is not kept."""
        if not self._entries or sum(values.nbytes for values in inputs.values()) > self._size:
            return None
        return (digest, *((name, inputs[name].shape, inputs[name].tobytes()) for name in sorted(inputs)))

    def find(self, key: Hashable) -> Arrays | None:
        """Return the answer under `key`, and count."""
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return found

    def keep(self, key: Hashable, said: Arrays) -> None:
        """Keep an answer, unless it is much larger than what was asked."""
        if sum(values.nbytes for values in said.values()) > self._size:
            return
        # A slice of a batch would keep the whole batch.
        self._kept[key] = {name: values.copy() for name, values in said.items()}
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
