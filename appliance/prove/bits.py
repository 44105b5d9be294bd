"""Owns the small algebra of truth that formulas are built of: a bit is a `bool` or a solver's Boolean, and constants fold.

An index into a ladder of n + 1 actions is n bits, the k-th of which says that it is above k: then the highest of several is
an "or", the lowest an "and", and no formula needs arithmetic. Never in here: what a bit means.
"""

from itertools import pairwise
from typing import Any

import z3

Bit = bool | Any
"""A `bool`, or a Boolean term of the solver, which comes without types."""
Index = tuple[Bit, ...]


def any_of(*bits: Bit) -> Bit:
    """Return whether any of `bits` is true."""
    kept = [bit for bit in bits if bit is not False]
    if True in (bit is True for bit in kept):
        return True
    return False if not kept else kept[0] if len(kept) == 1 else _joined(z3.Z3_mk_or, kept)


def all_of(*bits: Bit) -> Bit:
    """Return whether all of `bits` are true."""
    kept = [bit for bit in bits if bit is not True]
    if True in (bit is False for bit in kept):
        return False
    return True if not kept else kept[0] if len(kept) == 1 else _joined(z3.Z3_mk_and, kept)


def no(bit: Bit) -> Bit:
    """Return the opposite."""
    if isinstance(bit, bool):
        return not bit
    context = bit.ctx
    return z3.BoolRef(z3.Z3_mk_not(context.ref(), bit.ast), context)


def _joined(join: Any, kept: list[Any]) -> Any:
    # z3.And and z3.Or look at every argument's sort first, which takes five times as long as all the rest.
    context = kept[0].ctx
    count = len(kept)
    return z3.BoolRef(join(context.ref(), count, (z3.Ast * count)(*(bit.ast for bit in kept))), context)


def follows(given: Bit, then: Bit) -> Bit:
    """Return whether `then` is true wherever `given` is."""
    return any_of(no(given), then)


def same(one: Bit, other: Bit) -> Bit:
    """Return whether both are alike."""
    if isinstance(one, bool):
        return other if one else no(other)
    if isinstance(other, bool):
        return one if other else no(one)
    return one == other


def index_of(value: int, top: int) -> Index:
    """Return the constant index `value` of a ladder whose highest index is `top`."""
    return tuple(value > step for step in range(top))


def equal(one: Index, other: Index) -> Bit:
    """Return whether both are the same index."""
    return all_of(*(same(a, b) for a, b in zip(one, other, strict=True)))


def above(one: Index, other: Index) -> Bit:
    """Return whether `one` is the higher index."""
    return any_of(*(all_of(a, no(b)) for a, b in zip(one, other, strict=True)))


def ordered(index: Index) -> Bit:
    """Return whether the bits are those of some index: above 2 implies above 1."""
    return all_of(*(follows(high, low) for low, high in pairwise(index)))


def term(bit: Bit) -> z3.BoolRef:
    """Return `bit` as a term of the solver."""
    return z3.BoolVal(bit) if isinstance(bit, bool) else bit
