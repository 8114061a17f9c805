from fractions import Fraction

import numpy as np
import pytest

from digits.novelty import SCALE, Novelty

DRAW = np.random.default_rng(0)
LABELS = DRAW.permutation(np.arange(300) % 3)
# Of each class, images that differ little from one of its own.
CENTRES = DRAW.integers(0, 256, (3, 16))
IMAGES = np.clip(CENTRES[LABELS] + DRAW.normal(0, 20, (300, 16)), 0, 255).astype(np.uint8)


def test_means_and_distances_are_those_of_exact_fractions() -> None:
    found = Novelty.fit(np.array_split(IMAGES, 7), LABELS, [IMAGES])
    expected = []
    for label in range(3):
        columns = [list(map(int, column)) for column in IMAGES[label == LABELS].T]
        means = [Fraction(sum(one), len(one)) for one in columns]
        pairs = zip(columns, means, strict=True)
        variances = [sum((x - mean) ** 2 for x in one) / len(one) for one, mean in pairs]
        assert found.mean[label].tolist() == list(map(round, means))
        precision = [round(SCALE / (variance + 289)) for variance in variances]
        assert found.precision[label].tolist() == precision
        pixels = zip(IMAGES[0].tolist(), map(round, means), precision, strict=True)
        expected.append(sum((x - mean) ** 2 * weight for x, mean, weight in pixels))
    assert found.measure(IMAGES[:1]).tolist() == [min(expected)]


@pytest.mark.parametrize("rows", [1, 99, 100, 300])
def test_all_but_one_in_a_hundred_of_the_images_of_the_limit_are_familiar(rows: int) -> None:
    found = Novelty.fit([IMAGES], LABELS, np.array_split(IMAGES[:rows], 3))
    assert (~found.is_familiar(IMAGES[:rows])).sum() == rows // 100
    assert not found.is_familiar(255 - IMAGES).any()
