"""The fault matrix as programs: each row injects a fault into a real home, and measures what was promised."""
