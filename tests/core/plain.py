"""A window without haste: lists of stored bins, and every statistic computed anew from all of them."""

from fractions import Fraction
from math import sqrt

from appliance.core.windows import BIN_NS, COARSE_BINS, COARSE_NS, FINE_BINS


class PlainWindow:
    """Only bins that heard something are stored, as [index, values in steps]; what `Window` says must be the same bits."""

    def __init__(self, max_age_ns, resolution):
        self.max_age_ns, self.resolution, self.last_ns = max_age_ns, resolution, None
        self.stored = {BIN_NS: [], COARSE_NS: []}

    def push(self, steps, at_ns):
        self.last_ns = at_ns if self.last_ns is None else max(self.last_ns, at_ns)
        for (width, bins), most in zip(self.stored.items(), (FINE_BINS, COARSE_BINS), strict=True):
            if not bins or at_ns // width > bins[-1][0]:
                # The newest of the closed ones always stays, whose value the first of the window may hold.
                oldest = at_ns // width - most - 1
                bins[:-1] = [bin_ for bin_ in bins[:-1] if bin_[0] >= oldest]
                bins.append((at_ns // width, []))
            bins[-1][1].append(steps)

    def heard_since_ns(self):
        return self.stored[BIN_NS][0][0] * BIN_NS if self.stored[BIN_NS] else None

    def series(self, now_ns, span_ns):
        return [mean for mean, _ in self._entries(now_ns, span_ns)]

    def _entries(self, now_ns, span_ns):
        """For each bin of the span its mean, and the values in it or held in it, in steps."""
        width = BIN_NS if span_ns <= FINE_BINS * BIN_NS else COARSE_NS
        newest, entries = now_ns // width, []
        for index in range(newest - max(1, -(-span_ns // width)) + 1, newest + 1):
            heard = [bin_ for bin_ in self.stored[width] if bin_[0] <= index]
            if not heard:
                entries.append((None, []))
            elif heard[-1][0] == index:
                values = heard[-1][1]
                entries.append((sum(values) / len(values) * self.resolution, values))
            else:
                newest_of_all = heard[-1] is self.stored[width][-1]
                heard_ns = self.last_ns if newest_of_all else (heard[-1][0] + 1) * width
                last = heard[-1][1][-1]
                stands = index <= (heard_ns + self.max_age_ns) // width
                entries.append((last * self.resolution, [last]) if stands else (None, []))
        return entries

    def statistic(self, name, now_ns, span_ns, *, whole):
        entries = self._entries(now_ns, span_ns)
        known = [(at, mean) for at, (mean, _) in enumerate(entries) if mean is not None]
        if entries[-1][0] is None or (whole and len(known) < len(entries)):
            return None
        # Exactly, and rounded once.
        known = [(at, Fraction(mean)) for at, mean in known]
        level = sum(mean for _, mean in known) / len(known)
        match name:
            case "mean":
                return float(sum(mean for _, mean in known)) / len(known)
            case "minimum":
                return min(step for _, steps in entries for step in steps) * self.resolution
            case "maximum":
                return max(step for _, steps in entries for step in steps) * self.resolution
        if len(known) < 2:
            return None
        if name == "spread":
            return sqrt(float(sum((mean - level) ** 2 for _, mean in known) / len(known)))
        middle = Fraction(sum(at for at, _ in known), len(known))
        above = sum((at - middle) * (mean - level) for at, mean in known)
        per_minute = 60_000_000_000 / (BIN_NS if span_ns <= FINE_BINS * BIN_NS else COARSE_NS)
        return float(above / sum((at - middle) ** 2 for at, _ in known)) * per_minute
