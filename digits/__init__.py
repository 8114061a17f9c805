"""Recognising digits: the library that the pipeline's stages call."""

import os

# Threads of OpenMP that wait for each other by spinning take the cores from every other process,
# and those that sleep at once take twice the time alone. It is read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
