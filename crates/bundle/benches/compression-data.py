#!/usr/bin/env python3
"""Makes the files of docs/compression.md: seeded, except for what is taken from folders.

Needs numpy, pyarrow, pillow and scikit-learn (whose two photographs it uses).
"""

import argparse
import html
import io
import json
import random
import re
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sklearn.datasets
from PIL import Image


def models(source, out):
    """The tensors of a float32 safetensors file as they are, and as bfloat16, float16 and int8."""
    raw = source.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    tensors = {k: v for k, v in json.loads(raw[8 : 8 + length]).items() if v.get("dtype") == "F32"}
    (out / "minilm-fp32.safetensors").write_bytes(raw)

    def int8(x):
        rows = x.reshape(-1, x.shape[-1])
        scale = np.abs(rows).max(1, keepdims=True) / 127
        scale[scale == 0] = 1
        return np.round(rows / scale).astype(np.int8)

    kinds = {
        "bf16": ("BF16", lambda x: (x.view(np.uint32) >> 16).astype(np.uint16)),
        "fp16": ("F16", lambda x: x.astype(np.float16)),
        "int8": ("I8", int8),
    }
    for kind, (dtype, convert) in kinds.items():
        header, body, at = {}, [], 0
        for name, tensor in sorted(tensors.items(), key=lambda kv: kv[1]["data_offsets"][0]):
            start, end = tensor["data_offsets"]
            numbers = np.frombuffer(raw[8 + length + start : 8 + length + end], dtype=np.float32)
            data = convert(numbers.reshape(tensor["shape"])).tobytes()
            header[name] = {"dtype": dtype, "shape": tensor["shape"], "data_offsets": [at, at + len(data)]}
            at += len(data)
            body.append(data)
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + b"".join(body)
        (out / f"minilm-{kind}.safetensors").write_bytes(content)


def tables(out, rng):
    normal = rng.standard_normal(32 << 20, dtype=np.float32) * 0.02
    (out / "normal-bf16.bin").write_bytes((normal.view(np.uint32) >> 16).astype(np.uint16).tobytes())

    n = 1_000_000
    columns = zip(
        1_700_000_000 + np.arange(n),
        20 + np.cumsum(rng.standard_normal(n)) * 0.01,
        1013 + rng.standard_normal(n) * 3,
        rng.standard_normal(n),
        rng.integers(0, 4096, n),
        rng.exponential(5, n),
        rng.standard_normal(n) * 1e-3,
    )
    with open(out / "sensors.csv", "w") as file:
        file.write("time,temperature,pressure,noise,counts,wait,drift\n")
        for a, b, c, d, e, f, g in columns:
            file.write(f"{a},{b:.3f},{c:.2f},{d:.6f},{e},{f:.4f},{g:.4e}\n")
    with open(out / "features.csv", "w") as file:
        file.write(",".join(f"x{i}" for i in range(12)) + "\n")
        for row in rng.standard_normal((400_000, 12)):
            file.write(",".join("%.8f" % x for x in row) + "\n")

    n = 1_500_000
    orders = pa.table(
        {
            "id": np.arange(n),
            "time": 1_700_000_000 + np.cumsum(rng.exponential(3, n)).astype(np.int64),
            "user": rng.zipf(1.3, n) % 100_000,
            "price": np.round(rng.lognormal(3, 1, n), 2),
            "score": rng.random(n),
            "city": [f"w{i}" for i in rng.zipf(1.5, n) % 5000],
            "flag": rng.random(n) < 0.1,
        }
    )
    for codec in ["none", "snappy", "zstd"]:
        pq.write_table(orders, out / f"orders-{codec}.parquet", compression=codec)
    vectors = pa.array(rng.standard_normal(40_000 * 384).astype(np.float32) / 20)
    vectors = pa.FixedSizeListArray.from_arrays(vectors, 384)
    table = pa.table({"id": np.arange(40_000), "embedding": vectors})
    pq.write_table(table, out / "embeddings-snappy.parquet", compression="snappy")


def molecules(out):
    parts = (
        "C CC C(C)C OC N C(=O) C(=O)N C(=O)O S(=O)(=O)N C#N C=C [C@H](C) [C@@H](O) [C@H](N) C(F)(F)F OCC "
        "N1CCOCC1 N1CCN(C)CC1 C1CCCCC1 C1CC1 c1ccccc1 c1ccc(Cl)cc1 c1ccc(F)cc1 c1ccc(OC)cc1 c1ccncc1 "
        "c1cnc(N)nc1 c1ccc2[nH]ccc2c1 c1ccsc1 c1ccc2ccccc2c1 n1cccc1 c1nc(C)no1 Br Cl [N+](=O)[O-] CN(C) "
        "NC(=O) c1csc(N)n1 C1=CC(=O)NC1"
    ).split()
    weights = [1 / (i % 9 + 1) for i in range(len(parts))]

    def molecule(depth=0):
        text = ""
        for _ in range(random.randint(2, 6) if depth == 0 else random.randint(1, 3)):
            text += random.choices(parts, weights)[0]
            if depth < 2 and random.random() < 0.35:
                text += "(" + molecule(depth + 1) + ")"
        return text

    with open(out / "molecules.csv", "w") as file:
        file.write("smiles,id,logp,mw\n")
        for _ in range(600_000):
            number = random.randrange(10**7)
            file.write(f"{molecule()},CHEM{number},{random.gauss(2.5, 1.5):.3f},{random.gauss(350, 80):.2f}\n")


def images(out):
    folder = Path(sklearn.datasets.__file__).parent / "images"
    photographs = [Image.open(folder / name) for name in ("china.jpg", "flower.jpg")]
    with tarfile.open(out / "jpeg.tar", "w") as jpeg, tarfile.open(out / "png.tar", "w") as png:
        for n in range(150):
            photograph = photographs[n % 2]
            w, h = photograph.size
            x, y = random.randrange(w // 3), random.randrange(h // 3)
            part = photograph.crop((x, y, x + w // 2, y + h // 2))
            part = part.rotate(random.uniform(0, 360), Image.BICUBIC).resize((448, 448))
            for tar, kind in ((jpeg, "JPEG"), (png, "PNG")):
                content = io.BytesIO()
                part.save(content, kind)
                entry = tarfile.TarInfo(f"{n}.{kind.lower()}")
                entry.size = content.tell()
                content.seek(0)
                tar.addfile(entry, content)


def text(folders, out):
    """Paragraphs of documentation, each once, in random order, as records."""
    tag = re.compile(r"<(script|style|nav).*?</\1>|<[^>]+>", re.S)
    seen, paragraphs = set(), []
    files = sorted(p for folder in folders for p in folder.rglob("*") if p.is_file())
    for path in files:
        if path.suffix not in (".html", ".md", ".rst", ".txt", ""):
            continue
        try:
            content = path.read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if path.suffix == ".html":
            content = html.unescape(tag.sub(" ", content))
        for paragraph in re.split(r"\n\s*\n", content):
            paragraph = re.sub(r"[ \t]+", " ", paragraph).strip()
            if len(paragraph) >= 200 and paragraph not in seen:
                seen.add(paragraph)
                paragraphs.append((path.name, paragraph))
    random.shuffle(paragraphs)
    with open(out / "text.jsonl", "w") as file:
        for n, (source, paragraph) in enumerate(paragraphs):
            record = {"id": n, "source": source, "text": paragraph, "length": len(paragraph)}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def code(folders, out):
    with tarfile.open(out / "code.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        for folder in folders:
            for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".rs") and p.is_file()):
                if path.stat().st_size < 900_000:
                    tar.add(path, recursive=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, help="model.safetensors of all-MiniLM-L6-v2")
    parser.add_argument("--documents", type=Path, nargs="*", default=[], help="folders of documentation")
    parser.add_argument("--code", type=Path, nargs="*", default=[], help="folders of source code")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    random.seed(7)
    tables(out, np.random.default_rng(7))
    molecules(out)
    images(out)
    if arguments.model:
        models(arguments.model, out)
    if arguments.documents:
        text(arguments.documents, out)
    if arguments.code:
        code(arguments.code, out)


if __name__ == "__main__":
    main()
