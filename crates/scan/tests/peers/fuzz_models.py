"""Mutates files that NumPy, joblib, h5py and safetensors wrote, and notes what their readers make of them.

Arguments: the folder to write to, a seed, how many. Each sample is a file; `verdicts` has one line for each: its name, whether
the reader took it, and whether it unpickled something.
"""

import io
import json
import pathlib
import random
import sys
import zipfile

import h5py
import joblib
import numpy as np
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

out, seed, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
out.mkdir()
random = random.Random(seed)
called = []


class Noted:
    """What a pickle among the samples makes: that it was made is noted."""

    def __reduce__(self):
        return (note, ())


def note():
    called.append(True)


def saved(write, value):
    stream = io.BytesIO()
    write(stream, value)
    return stream.getvalue()


def hdf5(value):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        layers = [{"class_name": "Dense", "config": {}}, {"class_name": value, "config": {}}]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        file["w"] = np.arange(4)
    return stream.getvalue()


objects = np.array([Noted(), 1], dtype=object)
seeds = {
    "npy": [saved(np.save, a) for a in (
        np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.zeros(2, dtype=[("a", "f4"), ("b", "U3")]), objects,
        np.array(5), np.zeros((0, 3), ">i2"), np.asfortranarray(np.ones((2, 2), "c8")))],
    "npz": [saved(lambda f, a: np.savez(f, a=a), np.arange(3)), saved(lambda f, a: np.savez_compressed(f, a=a), objects)],
    "joblib": [saved(lambda f, v: joblib.dump(v, f), v) for v in ({"a": np.arange(5)}, [Noted()], objects)],
    "h5": [hdf5("Dense"), hdf5("Lambda")],
    "safetensors": [save_safetensors({"a": np.zeros((3, 4), "f4"), "b": np.ones(5, "i8")}, {"format": "np"})],
}


def load_h5(data):
    with h5py.File(io.BytesIO(data), "r") as file:
        config = json.loads(file.attrs["model_config"])
        if any(layer["class_name"] == "Lambda" for layer in config["config"]["layers"]):
            note()


readers = {
    "npy": lambda data: np.load(io.BytesIO(data), allow_pickle=True),
    "npz": lambda data: [np.load(io.BytesIO(data), allow_pickle=True)[name] for name in np.load(io.BytesIO(data)).files],
    "joblib": lambda data: joblib.load(io.BytesIO(data)),
    "h5": load_h5,
    "safetensors": load_safetensors,
}


def mutated(data):
    data = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2))):
        if not data:
            break
        at = random.choice((random.randrange(min(len(data), 160)), random.randrange(len(data))))
        kind = random.randrange(6)
        if kind < 3:
            data[at] = random.choice((random.randrange(256), 32, 79, 124, 39, data[at] ^ 1 << random.randrange(8)))
        elif kind == 3:
            del data[at:at + random.randrange(1, 9)]
        elif kind == 4:
            data[at:at] = random.choice((b" ", b"\n", b"O", b"'", b",", b"\0", b"|", b"\\x4f"))
        else:
            del data[at:]
    return bytes(data)


verdicts = []
for n in range(count):
    suffix = random.choice(list(seeds))
    data = mutated(random.choice(seeds[suffix]))
    called.clear()
    try:
        readers[suffix](data)
        taken = 1
    except MemoryError:
        taken = 0
    except BaseException:
        taken = 0
    name = f"{n:06}.{suffix}"
    (out / name).write_bytes(data)
    verdicts.append(f"{name} {taken} {int(bool(called))}")
(out / "verdicts").write_text("\n".join(verdicts))
