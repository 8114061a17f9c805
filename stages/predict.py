"""predict: the network's answer for each test image."""

from tqdm import tqdm

from digits.data.classes import load_classes
from digits.data.submission import SUBMISSION, read_ids, write_submission
from digits.data.tensors import PREPARED, map_images, read_images
from digits.network.inference import infer
from digits.network.model import MLP, MODEL, load_model
from digits.params import load_params

IMAGES = PREPARED / "test" / "images.npy"


def main() -> str:
    """Run the stage; return what it did, in words."""
    params = load_params()
    rows, pixels = map_images(IMAGES).shape
    classes, ids = load_classes(), read_ids()
    networks = [MLP.of(one) for one in load_model(MODEL, pixels, len(classes))]
    logits = (infer(networks, images, params.predict, MODEL) for images in read_images(IMAGES))
    codes = (code for block in logits for code in block.argmax(axis=1).tolist())
    shown = tqdm(codes, "predicted", rows, unit=" rows", leave=False, disable=None, delay=2)
    write_submission(SUBMISSION, ids, (classes[code] for code in shown))
    return f"read {rows:,} images; wrote {SUBMISSION}"
