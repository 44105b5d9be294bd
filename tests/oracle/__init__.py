"""An oracle written apart from the core, and a random walk that it watches."""
