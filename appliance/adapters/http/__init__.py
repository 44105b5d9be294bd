"""The local HTTP interface: one file a resource. Importing this package imports no web framework: `app` does that."""
