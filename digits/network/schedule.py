"""Schedules: what a training changes from step to step.

To add one: name it in `digits.params.Train.schedule`, and give its rate here.
"""

import numpy as np

from digits import exact
from digits.params import Train


def learning_rate(step: int, steps: int, params: Train) -> float:
    """Return the learning rate of `step`, from 0, of `steps`; no step has a rate of 0.

    It rises in a straight line to `lr` over the share `warm_up` of the steps. From there one_cycle
    falls in a straight line to nearly 0: the 1cycle policy of Smith and Topin (2017, "Super-
    convergence"), without its cycle of momentum. cosine falls in half a wave: Loshchilov and Hutter
    (2017, "SGDR", section 3), without restarts.
    """
    if params.schedule == "constant":
        return params.lr
    peak = params.warm_up * steps
    if step + 1 < peak:
        return params.lr * ((step + 1) / peak)
    left = min((steps - step) / (steps - peak), 1)
    if params.schedule == "cosine":
        _, cosine = exact.sine_and_cosine(np.array(left / 2))
        left = (1 - cosine.item()) / 2
    return params.lr * left


def share_averaged(step: int, kept: float) -> float:
    """Return the share of the network after `step`, from 0, that the averages of weights take.

    They keep the share `kept` of what they were, and less in the first steps, so that little is
    left of the network before training (as TensorFlow's ExponentialMovingAverage does it).
    """
    return max(1 - kept, 9 / (step + 10))
