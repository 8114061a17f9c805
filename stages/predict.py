"""predict: the network's answer for each test image.

    python -m stages.predict

Reads data/prepared/test and models/mlp.safetensors; writes submission.csv, as Kaggle wants it.
"""

import torch

from digits import numerics
from digits.kaggle import SUBMISSION, write_submission
from digits.model import MODEL, infer, load_model
from digits.params import load_params
from digits.process import run_stage
from digits.tensors import PREPARED, map_images


def main() -> None:
    """Run the stage."""
    params = load_params()
    numerics.configure(params.numerics)
    images = torch.from_numpy(map_images(PREPARED / "test" / "images.npy"))
    model = load_model(MODEL, images.shape[1], params.data.classes)
    labels = infer(model, images).argmax(dim=1)
    write_submission(SUBMISSION, labels.tolist())
    print(f"predict: {len(labels):,} images; wrote {SUBMISSION}")


if __name__ == "__main__":
    run_stage(main)
