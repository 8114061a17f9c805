"""Recognising digits: the library that the pipeline's stages call."""

import ctypes
import os
from contextlib import suppress

# Threads that wait for each other by spinning take the cores from every other process. Of OpenMP,
# those that sleep at once take twice the time alone; OpenBLAS has larger pieces of work. The first
# is read when torch is imported, and the second when NumPy is: after 2 ** 4 cycles they sleep.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

# glibc hands memory that is freed back to the system, which clears it before the next step has it.
with suppress(AttributeError):  # other systems have another allocator
    ctypes.CDLL(None).mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, bytes: the most that it takes
    ctypes.CDLL(None).mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
