"""Owns finding plugs: one module, one plug, there because its file is there.

Never in here: what a plug does.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def discover(package: ModuleType, plug: str) -> dict[str, ModuleType]:
    """Return the modules of `package` that have an attribute `plug`, by module name, in the order of their names."""
    names = sorted(found.name for found in iter_modules(package.__path__))
    modules = {name: import_module(f"{package.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, plug)}
