"""One row of the fault matrix a file: `ROW`, and `run(lab, size)` that injects the fault and returns figures."""
