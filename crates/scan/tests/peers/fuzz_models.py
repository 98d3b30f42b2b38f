"""Writes models that their real writers made, or nearly so, with what their real readers say of each.

    fuzz_models.py OUT SEED COUNT

A record is the lengths of content and name (little-endian u32 each), a byte of flags, and both. Flags: 1, the reader
took it; 2, reading it unpickles, or builds a layer that holds code; 4, it is as its writer wrote it.
"""

import io
import json
import pickle
import random
import resource
import signal
import struct
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import h5py
import joblib
import numpy as np
import numpy.lib.format as npy_format
import safetensors.numpy

warnings.simplefilter("ignore")
ACCEPTED, RUNS, PRISTINE = 1, 2, 4
pristine = True


class Unpickled(Exception):
    """Reading went as far as a pickle."""


class NoPickle:
    def __getattr__(self, name):
        return getattr(pickle, name)

    def load(self, *_, **__):
        raise Unpickled


for module in (npy_format, sys.modules.get("numpy.lib._format_impl"), sys.modules.get("numpy.lib._npyio_impl")):
    if module is not None and hasattr(module, "pickle"):
        module.pickle = NoPickle()


def altered(random, data):
    """A few bytes changed, taken out, put in, or the end cut off."""
    global pristine
    pristine = False
    data = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        if not data:
            break
        at = min(int(random.expovariate(1 / 60)), len(data) - 1) if random.random() < 0.8 else random.randrange(len(data))
        how = random.random()
        if how < 0.5:
            data[at] = random.choice([random.randrange(256), data[at] ^ (1 << random.randrange(8)), 32, 48, 79])
        elif how < 0.65:
            del data[at : at + random.randint(1, 4)]
        elif how < 0.85:
            data[at:at] = random.choice([b" ", b"O", b"|", b"'", b"\n", b"(", b",", b"\0", bytes([random.randrange(256)])])
        elif how < 0.95:
            del data[at + 1 :]
        else:
            data += bytes(random.randrange(256) for _ in range(random.randint(1, 9)))
    return bytes(data)


# --- NumPy --------------------------------------------------------------------

DTYPES = ["<f4", "<i8", "|u1", "|b1", "<U3", "|S5", ">f8", "<c16", "<M8[s]", "|V4", "|O", "O", "f8", "<f2", "object"]


def dtype_text(random, depth=0):
    if depth < 2 and random.random() < 0.35:
        names = random.sample(["a", "b", "c d", "é", "x" * 20], random.randint(1, 3))
        fields = [f"({name!r}, {dtype_text(random, depth + 1)}{random.choice(['', '', ', (2,)'])})" for name in names]
        return "[" + ", ".join(fields) + "]"
    text = random.choice(DTYPES)
    how = random.random()
    if how < 0.85:
        return repr(text)
    if how < 0.9:
        return repr(text[:1]) + " " + repr(text[1:])
    if how < 0.95:
        return "u" + repr(text)
    return "(" + repr(text) + ", " + random.choice(["(2,)", "()", "{}"]) + ")"


def npy(random):
    global pristine
    pristine = False
    items = [
        f"'descr': {dtype_text(random)}",
        f"'fortran_order': {random.choice(['False', 'True', 'False', 'False', '0', 'None'])}",
        f"'shape': {random.choice(['(2,)', '(1, 2)', '()', '(0,)', '(2L,)', '[2]', '(2, )', '(1,1,2)'])}",
    ]
    if random.random() < 0.1:
        random.shuffle(items)
    text = "{" + ", ".join(items) + random.choice([", }", "}", ",}", ", } "])
    if random.random() < 0.05:
        text = text.replace("'", '"')
    version = random.choice([(1, 0)] * 6 + [(2, 0), (3, 0), (4, 0)])
    wide = version != (1, 0)
    used = len(npy_format.MAGIC_PREFIX) + 2 + (4 if wide else 2)
    text += " " * (-(used + len(text.encode()) + 1) % random.choice([64, 64, 16, 1])) + "\n"
    raw = text.encode("utf-8" if version[0] >= 3 else "latin-1", "replace")
    head = npy_format.MAGIC_PREFIX + bytes(version) + struct.pack("<I" if wide else "<H", len(raw))
    body = pickle.dumps([1, 2]) if random.random() < 0.3 else bytes(random.randrange(256) for _ in range(96))
    data = head + raw + body[: random.choice([96, 96, 16, 8, 2])]
    if random.random() < 0.2:
        # As NumPy itself writes it.
        buffer = io.BytesIO()
        array = random.choice([np.zeros(2), np.array([None, 1], dtype=object), np.zeros(2, dtype=[("a", "f4"), ("b", "O")])])
        np.save(buffer, array, allow_pickle=True)
        data = buffer.getvalue()
    return altered(random, data) if random.random() < 0.4 else data


def judge_npy(data):
    try:
        np.load(io.BytesIO(data), allow_pickle=True)
        return ACCEPTED
    except Unpickled:
        return ACCEPTED | RUNS
    except Exception:
        return 0


def npz(random):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name in random.sample(["a.npy", "b.npy", "c/d.npy", "weights"], random.randint(1, 3)):
            archive.writestr(name, npy(random))
    return buffer.getvalue()


def judge_npz(data):
    flags = 0
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=True)
        flags |= ACCEPTED
        for name in archive.files:
            try:
                archive[name]
            except Unpickled:
                flags |= RUNS
            except Exception:
                flags &= ~ACCEPTED
    except Unpickled:
        flags |= RUNS
    except Exception:
        return 0
    return flags


# --- safetensors --------------------------------------------------------------


def tensors(random):
    global pristine
    arrays = {
        name: np.zeros(random.choice([(2,), (1, 3), (), (0,), (2, 2)]), dtype=random.choice(["f4", "i8", "u1", "f2", "bool"]))
        for name in random.sample(["w", "b", "layer.0", "é", " ", "__x__", "a/b"], random.randint(0, 4))
    }
    metadata = random.choice([None, {}, {"format": "pt"}, {"k": "v" * 50}])
    data = safetensors.numpy.save(arrays, metadata)
    how = random.random()
    if how < 0.25:
        return data
    length = struct.unpack("<Q", data[:8])[0]
    pristine = False
    header, body = json.JSONDecoder().raw_decode(data[8 : 8 + length].decode())[0], data[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    if how < 0.6 and names:
        entry = header[random.choice(names)]
        what = random.randrange(8)
        if what == 0:
            entry["dtype"] = random.choice(["F32", "F64", "BF16", "F8_E4M3", "I4", "f32", "", None])
        elif what == 1:
            entry["shape"] = random.choice([[], [1], [2], [-1], [2.0], ["2"], [2**63], [2**64], None, [0, 5]])
        elif what == 2:
            entry["data_offsets"] = random.choice([[0, 1], [1, 0], [0, 8], [0], [0, 8, 16], [-1, 7], [0, 2**64], "0"])
        elif what == 3:
            del entry[random.choice(list(entry))]
        elif what == 4:
            entry["extra"] = 1
        elif what == 5:
            header["again"] = dict(entry)
        elif what == 6:
            header["__metadata__"] = random.choice([{"a": 1}, {"a": None}, [], "x", {"a": {}}, {"": ""}])
        else:
            body += b"\0" * random.randint(1, 8)
    text = json.dumps(header, ensure_ascii=random.random() < 0.5, indent=random.choice([None, None, 1]))
    text = random.choice(["", "", "", " ", "\n", "\ufeff"]) + text + random.choice([" " * random.randint(0, 9), "", "", "\0", "x"])
    raw = text.encode()
    data = struct.pack("<Q", len(raw)) + raw + body
    return altered(random, data) if random.random() < 0.4 else data


def judge_safetensors(data):
    try:
        safetensors.numpy.load(data)
        return ACCEPTED
    except Exception:
        # What numpy has no type for is read by others.
        try:
            safetensors.deserialize(data)
            return ACCEPTED
        except Exception:
            return 0


# --- Keras --------------------------------------------------------------------

LAMBDA = {"class_name": "Lambda", "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}}
DENSE = {"class_name": "Dense", "module": "keras.layers", "config": {"name": "d", "units": 2}}


def layers(random):
    some = [dict(DENSE) for _ in range(random.randint(1, 3))]
    if random.random() < 0.5:
        layer = LAMBDA
        if random.random() < 0.3:
            layer = {"class_name": "TimeDistributed", "module": "keras.layers", "config": {"layer": LAMBDA}}
        if random.random() < 0.2:
            layer = {"class_name": "Sequential", "module": "keras", "config": {"layers": [layer]}}
        some.insert(random.randint(0, len(some)), layer)
    return {"class_name": random.choice(["Sequential", "Functional"]), "module": "keras", "config": {"name": "m", "layers": some}}


def config_text(random, config):
    text = json.dumps(config, indent=random.choice([None, None, 2]))
    if random.random() < 0.2:
        text = text.replace("Lambda", random.choice(["\\u004cambda", "Lambd\\u0061", "L\\u0061mbda"]))
    if random.random() < 0.1:
        text = text.replace("class_name", "cl\\u0061ss_name")
    return text


def builds_lambda(value):
    if isinstance(value, dict):
        return value.get("class_name") == "Lambda" or any(builds_lambda(one) for one in value.values())
    return isinstance(value, list) and any(builds_lambda(one) for one in value)


def keras_h5(random, folder):
    path = folder / "m.h5"
    options = {"userblock_size": random.choice([0, 0, 0, 512, 4096, 65536]), "libver": random.choice(["earliest", "latest", ("v108", "v110")])}
    with h5py.File(path, "w", **options) as file:
        for n in range(random.choice([0, 0, 3, 12])):
            file.attrs[f"other{n}"] = "x" * random.choice([1, 40, 3000])
        text = config_text(random, layers(random))
        if random.random() < 0.2:
            text = text + " " * 70000 if options["libver"] == "latest" else text
        kind = random.random()
        if kind < 0.4:
            file.attrs["model_config"] = text
        elif kind < 0.7:
            file.attrs["model_config"] = np.bytes_(text.encode())
        else:
            file.attrs.create("model_config", text.encode(), dtype=h5py.string_dtype("utf-8", len(text)))
        file.attrs["keras_version"] = "3.0"
        group = file.create_group("model_weights")
        group.create_dataset("w", data=np.zeros((4, 4)), compression=random.choice([None, "gzip"]))
    data = path.read_bytes()
    if options["userblock_size"] and random.random() < 0.5:
        data = bytes(random.choice([0x80, 0x50, 0x23, 0]) for _ in range(64)) + data[64:]
    return altered(random, data) if random.random() < 0.3 else data


def judge_h5(data, folder):
    path = folder / "judged.h5"
    path.write_bytes(data)
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs["model_config"]
            if isinstance(text, bytes):
                text = text.decode()
            return ACCEPTED | (RUNS if builds_lambda(json.loads(text)) else 0)
    except Exception:
        return 0


def keras_zip(random):
    buffer = io.BytesIO()
    text = config_text(random, layers(random))
    encoding = random.choice(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
    with zipfile.ZipFile(buffer, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
        archive.writestr("config.json", text.encode(encoding))
        archive.writestr("model.weights.h5", b"")
    data = buffer.getvalue()
    return altered(random, data) if random.random() < 0.2 else data


def judge_keras(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # json.loads finds out the encoding of bytes by itself, as Keras lets it.
            return ACCEPTED | (RUNS if builds_lambda(json.loads(archive.read("config.json"))) else 0)
    except Exception:
        return 0


# --- joblib -------------------------------------------------------------------

KNOWN = ("numpy", "joblib.numpy_pickle", "collections", "builtins", "_codecs")


class Innocent:
    """Stands for any class of a program."""

    def __init__(self, inside):
        self.inside = inside


def made_by_joblib(random, folder):
    inside = random.choice([np.zeros(3), np.array([1, "a", None], dtype=object), [np.zeros((2, 2)), {"k": np.ones(2)}], {"x": 1}])
    value = Innocent(inside) if random.random() < 0.5 else inside
    path = folder / "m.joblib"
    joblib.dump(value, path, compress=random.choice([0, 0, 0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)]))
    data = path.read_bytes()
    return altered(random, data) if random.random() < 0.2 else data


def judge_joblib(data, folder):
    path = folder / "judged.joblib"
    path.write_bytes(data)
    found = []
    plain = joblib.numpy_pickle.NumpyUnpickler.find_class

    def find_class(self, module, name):
        if module.split(".")[0] not in ("numpy", "joblib", "collections", "builtins", "_codecs"):
            found.append((module, name))
        if module == "__main__" and name == "Innocent":
            return Innocent
        if module.split(".")[0] not in ("numpy", "joblib"):
            raise Unpickled
        return plain(self, module, name)

    joblib.numpy_pickle.NumpyUnpickler.find_class = find_class
    try:
        joblib.load(path)
        flags = ACCEPTED
    except BaseException:
        flags = 0
    finally:
        joblib.numpy_pickle.NumpyUnpickler.find_class = plain
    return flags | (RUNS if found else 0)


# --- GGUF ---------------------------------------------------------------------


def gguf_file(random, folder):
    import gguf

    path = folder / "m.gguf"
    endianess = random.choice([gguf.GGUFEndian.LITTLE] * 4 + [gguf.GGUFEndian.BIG])
    writer = gguf.GGUFWriter(path, "llama", endianess=endianess)
    writer.add_string("general.name", random.choice(["m", "é", ""]))
    writer.add_array("tokenizer.ggml.tokens", random.choice([["a", "b"], ["x"] * 30, ["é", ""]]))
    writer.add_uint32("llama.block_count", 1)
    if random.random() < 0.3:
        writer.add_custom_alignment(random.choice([8, 32, 64]))
    for n in range(random.randint(0, 3)):
        name = random.choice(["token_embd.weight", "blk.0.ffn", "n" * 63, "n" * 64, "é"]) + str(n) * random.choice([0, 1])
        shape, kind = random.choice([((4,), np.float32), ((2, 4), np.float16), ((3, 1, 2), np.float32), ((8,), np.int8)])
        try:
            writer.add_tensor(name, np.zeros(shape, dtype=kind))
        except ValueError:
            pass
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    return altered(random, data) if random.random() < 0.3 else data


def judge_gguf(data, folder):
    import gguf

    path = folder / "judged.gguf"
    path.write_bytes(data)
    try:
        reader = gguf.GGUFReader(path, "r")
        return ACCEPTED if all(tensor.data is not None for tensor in reader.tensors) else 0
    except BaseException:
        return 0


def give_up(*_):
    raise TimeoutError


def main():
    out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # Readers allocate what a header says.
    signal.signal(signal.SIGALRM, give_up)
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, open(out, "wb") as file:
        folder = Path(folder)
        kinds = [
            ("a.npy", npy, judge_npy, 30),
            ("a.npz", npz, judge_npz, 8),
            ("m.safetensors", tensors, judge_safetensors, 30),
            ("m.h5", lambda r: keras_h5(r, folder), lambda d: judge_h5(d, folder), 8),
            ("m.keras", keras_zip, judge_keras, 8),
            ("m.joblib", lambda r: made_by_joblib(r, folder), lambda d: judge_joblib(d, folder), 8),
            ("m.gguf", lambda r: gguf_file(r, folder), lambda d: judge_gguf(d, folder), 8),
        ]
        for _ in range(count):
            name, make, judge, _ = chance.choices(kinds, [kind[3] for kind in kinds])[0]
            global pristine
            pristine = True
            data = make(chance)
            # A damaged file can keep a reader busy for ever.
            signal.alarm(5)
            flags = judge(data) | (PRISTINE if pristine else 0)
            signal.alarm(0)
            raw = name.encode()
            file.write(struct.pack("<IIB", len(data), len(raw), flags) + data + raw)


main()
