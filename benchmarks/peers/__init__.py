"""The notebook's recipe, CSV to submission, in three other libraries, as a user would write it.

They run in an environment of their own, and import nothing from digits.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

VALIDATION = 7000
WIDTHS = (784, 200, 200, 200, 10)
EPOCHS, BATCH = 5, 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 0.001

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]  # images, (rows, pixels), and labels
# What is timed, and what then returns the classes of images.
Prepared = tuple[Callable[[], object], Callable[[np.ndarray], np.ndarray]]
