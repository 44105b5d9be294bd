"""Owns running `appliance` so that SIGUSR1 begins a profile of its loop, and the next one writes it to the file named first.

Never in here: what the profile says.
"""

import cProfile
import runpy
import signal
import sys

_found = cProfile.Profile()
_file = sys.argv.pop(1)


def _begin(*_: object) -> None:
    signal.signal(signal.SIGUSR1, _end)
    _found.enable()


def _end(*_: object) -> None:
    _found.disable()
    _found.dump_stats(_file)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _begin)
    runpy.run_module("appliance", run_name="__main__", alter_sys=True)
