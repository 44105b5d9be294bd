"""The edge server: models of a shelf, asked over the Open Inference Protocol v2."""
