"""predict: the network's answer for each test image.

    python -m stages.predict

Reads data/prepared/test and models/mlp.safetensors; writes submission.csv, as Kaggle wants it.
"""

import torch

from digits import numerics
from digits.errors import report
from digits.kaggle import SUBMISSION, write_submission
from digits.model import MODEL, infer, load_model
from digits.params import load_params
from digits.tensors import PREPARED, map_rows


def main() -> None:
    """Run the stage."""
    params = load_params()
    numerics.configure(params.numerics)
    images = torch.from_numpy(map_rows(PREPARED / "test" / "images.npy"))
    labels = infer(load_model(MODEL), images).argmax(dim=1)
    write_submission(SUBMISSION, labels.tolist())
    print(f"predict: {len(labels):,} images; wrote {SUBMISSION}")


if __name__ == "__main__":
    report(main)
