"""Train and evaluate a small digit classifier.

    python train.py           rebuild data/, labels.txt, config.json,
                              model.safetensors and evaluation.json
    python train.py --check   confirm that the stored model still gives the
                              figures in evaluation.json (writes nothing)
"""

import argparse
import gzip
import hashlib
import json
import os
import sys
from pathlib import Path

# The order of additions inside a matrix product depends on the number of BLAS
# threads, and so do the last bits of the weights. One thread keeps runs
# byte-identical. This has to be set before numpy is imported.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

HERE = Path(__file__).resolve().parent

# Digest of digits.csv, uncompressed, as shipped inside scikit-learn. A release
# that changed the data would otherwise change the split without a word.
SOURCE_SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"

SEED = 20240229
TEST_FRACTION = 0.25
PIXEL_MAX = 16
CLASSES = 10
HIDDEN = 32

# Set beforehand and not tuned: with no validation split, any tuning would have
# been done on the test rows and made the reported figures too good.
EPOCHS = 40
BATCH = 32
LEARNING_RATE = 0.05
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4

PIXELS = [f"p{row}{col}" for row in range(8) for col in range(8)]


# --- data ---------------------------------------------------------------------


def write_data():
    # Imported here so that --check works without scikit-learn.
    import sklearn.datasets

    source = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    digest = hashlib.sha256(gzip.decompress(source.read_bytes())).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"unexpected source data: sha256 {digest}")

    digits = sklearn.datasets.load_digits()
    pixels, labels = digits.data.astype(int), digits.target

    rng = np.random.default_rng(SEED)
    is_test = np.zeros(len(labels), dtype=bool)
    for label in range(CLASSES):
        rows = np.flatnonzero(labels == label)
        is_test[rng.permutation(rows)[: round(len(rows) * TEST_FRACTION)]] = True

    # Rows stay in source order and carry their source row number, so anyone can
    # confirm that the two files share no row and together make up the source.
    (HERE / "data").mkdir(exist_ok=True)
    for name, chosen in (("train", ~is_test), ("test", is_test)):
        lines = [",".join(["source_row", "label", *PIXELS])]
        for row in np.flatnonzero(chosen):
            lines.append(",".join(map(str, [row, labels[row], *pixels[row]])))
        write_text(f"data/{name}.csv", "\n".join(lines))


def read_data(name):
    table = np.loadtxt(HERE / "data" / f"{name}.csv", delimiter=",", skiprows=1, dtype=int)
    return table[:, 2:], table[:, 1]


# --- model --------------------------------------------------------------------


def forward(weights, pixels):
    """Return the hidden activations and the logits for rows of 0..16 pixels."""
    x = pixels / PIXEL_MAX
    hidden = np.maximum(x @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
    return hidden, hidden @ weights["output.weight"].T + weights["output.bias"]


def softmax(logits):
    # Subtracting the maximum keeps exp() from overflowing.
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def predict(weights, pixels):
    return forward(weights, pixels)[1].argmax(axis=1)


def accuracy(weights, pixels, labels):
    return round(float((predict(weights, pixels) == labels).mean()), 4)


def train(pixels, labels):
    # A separate stream from the split: changing one must not disturb the other.
    rng = np.random.default_rng(SEED + 1)
    inputs = pixels.shape[1]
    # Shapes are (out, in), as in torch.nn.Linear, so the file loads there as is.
    weights = {
        "hidden.weight": rng.normal(0, np.sqrt(2 / inputs), (HIDDEN, inputs)),
        "hidden.bias": np.zeros(HIDDEN),
        "output.weight": rng.normal(0, np.sqrt(2 / HIDDEN), (CLASSES, HIDDEN)),
        "output.bias": np.zeros(CLASSES),
    }
    velocity = {name: np.zeros_like(value) for name, value in weights.items()}

    for _ in range(EPOCHS):
        order = rng.permutation(len(labels))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            hidden, logits = forward(weights, pixels[batch])

            # Gradient of the mean cross-entropy, from the logits backwards.
            d_logits = softmax(logits)
            d_logits[np.arange(len(batch)), labels[batch]] -= 1
            d_logits /= len(batch)
            d_hidden = (d_logits @ weights["output.weight"]) * (hidden > 0)
            gradient = {
                "hidden.weight": d_hidden.T @ (pixels[batch] / PIXEL_MAX),
                "hidden.bias": d_hidden.sum(axis=0),
                "output.weight": d_logits.T @ hidden,
                "output.bias": d_logits.sum(axis=0),
            }
            for name in weights:
                step = gradient[name]
                if name.endswith(".weight"):
                    step = step + WEIGHT_DECAY * weights[name]
                velocity[name] = MOMENTUM * velocity[name] - LEARNING_RATE * step
                weights[name] += velocity[name]

    return {name: value.astype(np.float32) for name, value in weights.items()}


def save_model(weights):
    # One metadata key only: safetensors does not promise an order for several,
    # and the file has to come out byte-identical. The rest is in config.json.
    (HERE / "model.safetensors").write_bytes(save(weights, metadata={"format": "np"}))


def load_model():
    with safe_open(HERE / "model.safetensors", framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def config():
    return {
        "model": "digits-mlp",
        "architecture": {
            "layers": [64, HIDDEN, CLASSES],
            "activation": "relu",
            "output": "logits",
            "parameters": HIDDEN * (64 + 1) + CLASSES * (HIDDEN + 1),
            "dtype": "float32",
        },
        "input": {"height": 8, "width": 8, "order": "row-major", "divide_by": PIXEL_MAX},
        "training": {
            "optimizer": "sgd",
            "loss": "cross_entropy",
            "learning_rate": LEARNING_RATE,
            "momentum": MOMENTUM,
            "weight_decay": WEIGHT_DECAY,
            "batch_size": BATCH,
            "epochs": EPOCHS,
            "initialisation": "he_normal",
            "seed": SEED + 1,
        },
        "data": {
            "source": "scikit-learn load_digits",
            "source_sha256": SOURCE_SHA256,
            "test_fraction": TEST_FRACTION,
            "split": "stratified by label, random within each label",
            "split_seed": SEED,
        },
    }


# --- evaluation ---------------------------------------------------------------


def shift(pixels, rows, cols):
    """Move every image by whole pixels, filling with background."""
    images = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    return images[:, 1 - rows : 9 - rows, 1 - cols : 9 - cols].reshape(-1, 64)


def evaluate(weights, pixels, labels):
    predicted = predict(weights, pixels)
    confusion = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)

    hits = confusion.diagonal()
    support, claimed = confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * hits / (support + claimed)

    # The source images are all centred. A shift by one pixel shows how much the
    # model depends on that, which the plain test figure cannot.
    moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
    shifted = {name: accuracy(weights, shift(pixels, *move), labels) for name, move in moves.items()}

    # Errors made with confidence are the ones no threshold would catch.
    confidence = softmax(forward(weights, pixels)[1]).max(axis=1)
    confident_errors = (predicted != labels) & (confidence > 0.9)

    # Four decimals: finer digits would mean nothing on a few hundred rows.
    return {
        "split": "data/test.csv",
        "rows": len(labels),
        "errors": int(len(labels) - hits.sum()),
        "errors_above_0.9_confidence": int(confident_errors.sum()),
        "accuracy": accuracy(weights, pixels, labels),
        "macro_f1": round(float(f1.mean()), 4),
        "per_class": {
            str(label): {
                "recall": round(float(hits[label] / support[label]), 4),
                "precision": round(float(hits[label] / max(claimed[label], 1)), 4),
                "rows": int(support[label]),
            }
            for label in range(CLASSES)
        },
        "confusion_true_by_predicted": [" ".join(map(str, row)) for row in confusion],
        "accuracy_shifted_one_pixel": shifted,
    }


# --- command line -------------------------------------------------------------


def write_text(name, text):
    # An explicit newline keeps the bytes the same on Windows.
    (HERE / name).write_text(text + "\n", encoding="utf-8", newline="\n")


def main():
    parser = argparse.ArgumentParser(description="Train or check the digit classifier.")
    parser.add_argument("--check", action="store_true", help="verify the stored model; write nothing")
    check = parser.parse_args().check

    if not check:
        write_data()
        save_model(train(*read_data("train")))
        write_text("labels.txt", "\n".join(map(str, range(CLASSES))))
        write_text("config.json", json.dumps(config(), indent=2))

    # Always measured on the float32 file that is handed over, never on the
    # float64 weights that training happens to hold in memory.
    weights = load_model()
    result = evaluate(weights, *read_data("test"))
    result["train_accuracy"] = accuracy(weights, *read_data("train"))

    if check:
        stored = json.loads((HERE / "evaluation.json").read_text(encoding="utf-8"))
        differing = sorted(key for key in stored.keys() | result.keys() if stored.get(key) != result.get(key))
        if differing:
            sys.exit("check failed; these figures differ: " + ", ".join(differing))
    else:
        write_text("evaluation.json", json.dumps(result, indent=2))

    print(f"{'check passed: ' if check else ''}accuracy {result['accuracy']}, "
          f"macro F1 {result['macro_f1']}, {result['errors']} errors in {result['rows']} rows")


if __name__ == "__main__":
    main()
