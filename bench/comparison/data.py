"""What is packed: made once by consign-bench-data from a seed, and kept in the cache folder."""

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from .measure import output

GIB = 1 << 30
MB = 1_000_000
ALL_TASKS = ("pack", "verify", "quick", "unpack", "inspect", "only")


@dataclass
class Data:
    name: str
    title: str
    # Arguments of consign-bench-data, each with the folder below the source that it fills.
    parts: list = field(default_factory=list)
    bytes: int = 0
    files: int = 1
    tasks: tuple = ALL_TASKS
    # None for all.
    tools: tuple = None
    # About how much a compressed copy takes.
    compressed: float = 0.5
    # Other data that this is the beginning of, a link for each file.
    first_of: object = None
    # Outputs would not fit into memory.
    on_disk: bool = False
    path: Path = None


def weights(name, title, bytes, shards, float="bf16", **options):
    part = ("", ["weights", f"--float={float}", f"--bytes={bytes}", f"--shards={shards}"])
    compressed = 0.85 if float == "bf16" else 0.97
    return Data(name, title, [part], bytes, shards, compressed=compressed, **options)


def catalogue(scale, many, growth, model):
    """All data, the optional ones if asked for. `scale` makes every one of them smaller."""
    size = lambda bytes: max(int(bytes * scale), 100_000)
    count = lambda files: max(int(files * scale), 20)
    data = [
        weights("weights", "bf16 weights, 1 GiB in two files", size(GIB), 2),
        weights("weights-one", "bf16 weights, 1 GiB in one file", size(GIB), 1),
        weights("weights-fp32", "fp32 weights, 512 MiB in one file", size(GIB // 2), 1, "fp32"),
        Data("text", "JSONL text, 300 MB in one file",
             [("", ["text", f"--bytes={size(300 * MB)}"])], size(300 * MB)),
        Data("table", "numeric CSV, 300 MB in one file",
             [("", ["table", f"--bytes={size(300 * MB)}"])], size(300 * MB)),
        Data("tree", "20,000 small files of 6 kB in the mean",
             [("", ["tree", f"--files={count(20_000)}"])], count(20_000) * 6500, count(20_000)),
    ]
    mixed = weights("mixed", "bf16 weights, 4 GiB in four files, and 9,990 small files", size(4 * GIB), 4)
    mixed.parts.append(("code", ["tree", f"--files={count(9_990)}"]))
    mixed.bytes += count(9_990) * 6500
    mixed.files += count(9_990)
    mixed.tasks, mixed.tools = ("inspect", "only"), ("consign", "pipeline")
    data.append(mixed)
    if many:
        for files, title in ((10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")):
            part = ("", ["records", f"--files={count(files)}"])
            data.append(Data(f"records-{files}", f"{title} files of 1 kB", [part], count(files) * 1000, count(files)))
    if growth:
        # No unpack: the largest would need 50 GB.
        grown = [weights(f"growth-{gib}", f"bf16 weights, {gib} GiB in files of 1 GiB", size(gib * GIB), gib,
                         tasks=("pack", "verify", "quick", "inspect"), tools=("consign",), on_disk=True)
                 for gib in (1, 4, 16)]
        for smaller in grown[:-1]:
            smaller.first_of = grown[-1]
        data += grown
    if model:
        sizes = [file.stat().st_size for file in Path(model).rglob("*") if file.is_file()]
        title = f"a real model, {sum(sizes) / MB:,.0f} MB in {len(sizes)} files"
        data.append(Data("model", title, [], sum(sizes), len(sizes), compressed=1, path=Path(model).resolve()))
    return data


def place(data, cache, sources):
    """Where generated data lies, or will lie: a change of the generator gives another place."""
    if data.path is None:
        digest = hashlib.sha256(repr(data.parts).encode())
        for source in sorted(sources.glob("*.rs")):
            digest.update(source.read_bytes())
        data.path = cache / "data" / f"{data.name}-{digest.hexdigest()[:12]}"


def make(data, generator):
    """Makes what is not there, reads all of it once, so that it is in memory, and counts."""
    if data.first_of and not data.path.exists():
        make(data.first_of, generator)
        data.path.mkdir()
        for file in list(files(data.first_of.path))[:data.files]:
            os.link(file, data.path / file.name)
    elif not data.path.exists():
        unfinished = data.path.with_name(data.path.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for below, arguments in data.parts:
            output(str(generator), str(unfinished / below), *arguments)
        unfinished.rename(data.path)
    data.bytes, data.files = 0, 0
    data.largest = 0
    for file in files(data.path):
        size = file.stat().st_size
        data.bytes, data.files, data.largest = data.bytes + size, data.files + 1, max(data.largest, size)
        with open(file, "rb", buffering=0) as content:
            while content.read(1 << 20):
                pass


def files(folder):
    """The files below a folder, in order."""
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(directory, name)


def one_small_file(data):
    """A file of at most 64 kB from the middle of the source, as a path below it; None if there is none."""
    small = [file for file in files(data.path) if file.stat().st_size <= 64 << 10]
    return small[len(small) // 2].relative_to(data.path).as_posix() if small else None
