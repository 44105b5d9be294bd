"""The local HTTP interface: one file a resource. Importing it imports no web framework; `app` does."""
