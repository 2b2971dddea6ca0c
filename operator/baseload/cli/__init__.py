"""The command line: thin adapters from arguments to the layers below."""

import os

# The arrays of the planner are small: numpy's threads would spend ten times the work on waiting for each other. This is
# read when numpy is first imported, hence before any command is.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
