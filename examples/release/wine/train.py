"""Train and evaluate a small classifier of wines by cultivar.

    python train.py           rebuild data/, config.json, model.safetensors and evaluation.json
    python train.py --check   confirm that the stored model gives the figures of evaluation.json (writes nothing)

Softmax regression on thirteen chemical measurements, by plain gradient descent. Needs numpy and safetensors; to rebuild
data/ also scikit-learn, which ships the table.
"""

import csv
import hashlib
import json
import os
import sys
from pathlib import Path

# One thread, so that sums come out alike on every run.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
# Of wine_data.csv in scikit-learn. Other data would change the split without a word.
SOURCE_SHA256 = "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede"
COLUMNS = [
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
    "nonflavanoid_phenols", "proanthocyanins", "colour_intensity", "hue", "od280_od315", "proline",
]
SEED, STEPS, RATE, DECAY, TEST_EVERY = 20261201, 400, 0.5, 1e-3, 4


def split():
    import sklearn.datasets

    source = Path(sklearn.datasets.__file__).parent / "data" / "wine_data.csv"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"another table than expected: sha256 {digest}")
    rows = source.read_text().splitlines()[1:]
    order = np.random.default_rng(SEED).permutation(len(rows))
    (HERE / "data").mkdir(exist_ok=True)
    for name, part in (("train", order[np.arange(len(order)) % TEST_EVERY != 0]), ("test", order[::TEST_EVERY])):
        lines = [",".join([*COLUMNS, "cultivar"])] + [rows[i] for i in sorted(part)]
        (HERE / "data" / f"{name}.csv").write_text("\n".join(lines) + "\n")


def read(name):
    with open(HERE / "data" / f"{name}.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1].astype(int)


def scores(model, x):
    return ((x - model["mean"]) / model["scale"]) @ model["weight"] + model["bias"]


def train():
    x, y = read("train")
    model = {"mean": x.mean(axis=0), "scale": x.std(axis=0), "weight": np.zeros((x.shape[1], 3)), "bias": np.zeros(3)}
    wanted = np.eye(3)[y]
    scaled = (x - model["mean"]) / model["scale"]
    for _ in range(STEPS):
        s = scores(model, x)
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        model["weight"] -= RATE * (scaled.T @ (p - wanted) / len(x) + DECAY * model["weight"])
        model["bias"] -= RATE * (p - wanted).mean(axis=0)
    return {name: value.astype(np.float32) for name, value in model.items()}


def evaluate(model):
    x, y = read("test")
    right = int((scores(model, x).argmax(axis=1) == y).sum())
    return {"split": "test", "rows": len(y), "right": right, "accuracy": round(right / len(y), 4)}


def main():
    if "--check" in sys.argv:
        found, stated = evaluate(load_file(HERE / "model.safetensors")), json.loads((HERE / "evaluation.json").read_text())
        sys.exit(0 if found == stated else f"{found} is not what evaluation.json says: {stated}")
    split()
    model = train()
    save_file(model, HERE / "model.safetensors")
    config = {"kind": "softmax regression", "inputs": COLUMNS, "classes": 3, "seed": SEED, "steps": STEPS, "rate": RATE, "decay": DECAY}
    (HERE / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (HERE / "evaluation.json").write_text(json.dumps(evaluate(model), indent=2) + "\n")


main()
