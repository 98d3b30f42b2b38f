"""What is run: consign and its peers, each as a person who knows the tool well would use it.

Scripts get everything by environment: SRC (what is packed), OUT (an empty folder for what this run makes), KEPT (what
the same tool's pack made), KEYS, CORES, CALL (files an openssl call), and ONLY (the one file to extract).
"""

import os
import shutil
import subprocess
from pathlib import Path

from .data import files
from .measure import Failure, output

# SHA-256 of every file below the current folder, in order of path. Large files come first, the largest at the front, and
# each is a call of its own; small ones share calls. Every call has a file for its results, because the lines of
# several would mix.
HASH_FILES = r"""
call_openssl() {
    xargs -0 -r -P "$CORES" -n "$1" sh -c 'exec openssl dgst -sha256 -r -out "$OUT/sums.d/$$" "$@"' sh
}
hash_files() {
    mkdir "$OUT/sums.d"
    find . -type f -size +1023k -printf '%s %p\0' | sort -zrn | cut -zd' ' -f2- | call_openssl 1
    find . -type f ! -size +1023k -print0 | call_openssl "$CALL"
    find "$OUT/sums.d" -type f -exec cat {} + | sort -k2 > "$1"
    rm -r "$OUT/sums.d"
}
"""


class Tool:
    """A contender. Each task is a method that gives the command; None where the tool has no such task.

    What is unpacked goes to OUT/tree.
    """

    name = ""
    # What it does otherwise than consign.
    remark = ""

    def version(self):
        """None if it is not installed."""

    def environment(self, case):
        return {}

    def prepare(self, task, case, environment):
        """What comes before a timed run, and is not timed."""

    def sizes(self, folder):
        """Bytes of the archive, None if there is no such file, and of everything that pack made."""
        archive = self.archive(folder).stat().st_size if hasattr(self, "archive") else None
        return archive, sum(file.stat().st_size for file in files(folder))

    pack = verify = quick = unpack = inspect = only = None


class Consign(Tool):
    name = "consign"
    remark = "outputs durable, signed, found by name; unpack verifies every file"

    def __init__(self, program):
        self.program = str(program)

    def version(self):
        return output(self.program, "--version").strip()

    def environment(self, case):
        # A home of its own, which is not there: nothing of the user's configuration is read, and what was verified of
        # one set of data is not held against the next, which goes by the same name.
        return {"CONSIGN_HOME": str(case.scratch / "home")}

    def command(self, *arguments):
        return [self.program, *map(str, arguments), "--progress=none"]

    def pack(self, case):
        return self.command("pack", case.data.path, "--descriptor", case.keys / "consign.yaml",
                            "--key", case.keys / "consign.key", "-o", case.out)

    def verify(self, case):
        return self.command("verify", case.kept(self), "--key", case.keys / "consign.key.pub")

    def quick(self, case):
        return [*self.verify(case), "--quick"]

    def unpack(self, case):
        return self.command("unpack", case.kept(self), case.out / "tree", "--key", case.keys / "consign.key.pub")

    def inspect(self, case):
        return self.command("inspect", case.kept(self))

    def only(self, case):
        return [*self.unpack(case), "--only", case.only]

    def archive(self, kept):
        [archive] = Path(kept).glob("*.tar.zst")
        return archive


class Pipeline(Tool):
    name = "pipeline"
    remark = "`openssl dgst` of every file over all cores, `tar`, `zstd -T -3`, `openssl dgst` of the archive; " \
             "no signature; unpack verifies nothing"

    def version(self):
        tar = output("tar", "--version").splitlines()[0]
        zstd = output("zstd", "--version").strip(" *\n").split(",")[0]
        return f"{' '.join(output('openssl', 'version').split()[:2])}, {tar}, {zstd}"

    def pack(self, case):
        return HASH_FILES + r"""
            cd "$SRC"
            hash_files "$OUT/sums"
            tar -cf - . | zstd -q -T"$CORES" -3 -o "$OUT/archive.tar.zst"
            cd "$OUT"
            openssl dgst -sha256 -r -out archive.sha256 archive.tar.zst
            sync sums archive.tar.zst archive.sha256
        """

    def verify(self, case):
        return HASH_FILES + r"""
            cd "$KEPT"
            openssl dgst -sha256 -r archive.tar.zst | cmp - archive.sha256
            mkdir "$OUT/tree"
            zstd -dc archive.tar.zst | tar -xf - -C "$OUT/tree"
            cd "$OUT/tree"
            hash_files "$OUT/sums"
            cmp "$OUT/sums" "$KEPT/sums"
        """

    def quick(self, case):
        # consign's own archive, so that the bytes are the same.
        return ["openssl", "dgst", "-sha256", "-r", str(case.consign_archive())]

    def unpack(self, case):
        return r"""
            mkdir "$OUT/tree"
            zstd -dc "$KEPT/archive.tar.zst" | tar -xf - -C "$OUT/tree"
            sync -f "$OUT/tree"
        """

    def inspect(self, case):
        return r"""zstd -dc "$KEPT/archive.tar.zst" | tar -tvf -"""

    def only(self, case):
        # tar stops at the file, and zstd then fails to write: the check is whether the file is there.
        return r"""
            set +o pipefail
            mkdir "$OUT/tree"
            zstd -qdc "$KEPT/archive.tar.zst" 2> /dev/null | tar -xf - -C "$OUT/tree" --occurrence=1 "./$ONLY"
            sync "$OUT/tree/$ONLY"
        """

    def archive(self, kept):
        return Path(kept) / "archive.tar.zst"


class Overlapped(Pipeline):
    name = "overlapped pipeline"
    remark = "the same commands, with all that can run at the same time doing so"

    def pack(self, case):
        return HASH_FILES + r"""
            cd "$SRC"
            # In brackets, so that the failure of any of them is seen.
            (tar -cf - . | zstd -q -T"$CORES" -3 | tee "$OUT/archive.tar.zst" \
                | openssl dgst -sha256 -r -out "$OUT/archive.sha256") &
            archive=$!
            hash_files "$OUT/sums"
            wait "$archive"
            cd "$OUT"
            sync sums archive.tar.zst archive.sha256
        """

    def verify(self, case):
        return HASH_FILES + r"""
            cd "$KEPT"
            openssl dgst -sha256 -r < archive.tar.zst > "$OUT/archive.sha256" &
            archive=$!
            mkdir "$OUT/tree"
            zstd -dc archive.tar.zst | tar -xf - -C "$OUT/tree"
            wait "$archive"
            cmp "$OUT/archive.sha256" archive.sha256
            cd "$OUT/tree"
            hash_files "$OUT/sums"
            cmp "$OUT/sums" "$KEPT/sums"
        """

    quick = unpack = inspect = only = None


class Naive(Pipeline):
    name = "naive"
    remark = "`sha256sum` of every file, `tar --zstd`, `sha256sum` of the archive, one after the other"

    def version(self):
        return output("sha256sum", "--version").splitlines()[0]

    def pack(self, case):
        return r"""
            cd "$SRC"
            find . -type f -exec sha256sum {} + > "$OUT/sums"
            tar --zstd -cf "$OUT/archive.tar.zst" .
            cd "$OUT"
            sha256sum archive.tar.zst > archive.sha256
            sync sums archive.tar.zst archive.sha256
        """

    def verify(self, case):
        return r"""
            cd "$KEPT"
            sha256sum --quiet -c archive.sha256
            mkdir "$OUT/tree"
            tar --zstd -xf archive.tar.zst -C "$OUT/tree"
            cd "$OUT/tree"
            sha256sum --quiet -c "$KEPT/sums"
        """

    def quick(self, case):
        return ["sha256sum", str(case.consign_archive())]

    unpack = inspect = only = None


class BagIt(Tool):
    name = "bagit.py"
    remark = "a bag over all cores, then `tar`, `zstd -T -3` and `openssl dgst`; the copy that becomes the bag (hard " \
             "links) is not timed; no signature"

    def __init__(self, find):
        self.program = find("bagit.py")

    def version(self):
        return self.program and output(self.program, "--version").strip().replace("bagit-python version", "bagit.py")

    def environment(self, case):
        return {"BAGIT": self.program, "BAG": str(case.beside / "bag")}

    def prepare(self, task, case, environment):
        if task == "pack":
            shutil.rmtree(environment["BAG"], ignore_errors=True)
            output("cp", "-al", str(case.data.path), environment["BAG"])

    def pack(self, case):
        return r"""
            "$BAGIT" --quiet --sha256 --processes "$CORES" "$BAG"
            tar -C "$BAG" -cf - . | zstd -q -T"$CORES" -3 -o "$OUT/archive.tar.zst"
            cd "$OUT"
            openssl dgst -sha256 -r -out archive.sha256 archive.tar.zst
            sync archive.tar.zst archive.sha256
        """

    def verify(self, case):
        return r"""
            cd "$KEPT"
            openssl dgst -sha256 -r archive.tar.zst | cmp - archive.sha256
            mkdir "$OUT/tree"
            zstd -dc archive.tar.zst | tar -xf - -C "$OUT/tree"
            "$BAGIT" --quiet --validate --processes "$CORES" "$OUT/tree"
        """

    def archive(self, kept):
        return Path(kept) / "archive.tar.zst"


class ModelSigning(Tool):
    name = "model_signing"
    remark = "digests of all files and a signature; no archive, no compression"

    def __init__(self, find):
        self.program = find("model_signing")

    def version(self):
        return self.program and output(self.program, "--version").strip().replace(", version", "")

    def environment(self, case):
        return {"MODEL_SIGNING": self.program}

    def pack(self, case):
        return [self.program, "sign", "key", str(case.data.path), "--no-ignore-git-paths",
                "--private_key", str(case.keys / "ec.key"), "--signature", str(case.out / "model.sig")]

    def verify(self, case):
        return [self.program, "verify", "key", str(case.data.path), "--no-ignore-git-paths",
                "--public_key", str(case.keys / "ec.pub"), "--signature", str(case.kept(self) / "model.sig")]


class Restic(Tool):
    name = "restic"
    remark = "a backup into a new repository: cut, deduplicated, compressed, encrypted; no digest of a whole file, no " \
             "signature"

    def version(self):
        return shutil.which("restic") and " ".join(output("restic", "version").split()[:2])

    def environment(self, case):
        repository = case.out if case.task == "pack" else case.kept(self)
        return {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(repository)}

    def prepare(self, task, case, environment):
        if task == "pack":
            subprocess.run(["restic", "--no-cache", "-q", "init", "--repository-version=2"], env=environment, check=True)

    def pack(self, case):
        return r'cd "$SRC" && restic --no-cache -q backup .'

    def verify(self, case):
        return ["restic", "--no-cache", "--no-lock", "-q", "check", "--read-data"]

    def unpack(self, case):
        return r'cd "$OUT" && restic --no-cache --no-lock -q restore latest --target tree && sync -f tree'

    def only(self, case):
        return r'cd "$OUT" && restic --no-cache --no-lock -q restore latest --target tree --include "$ONLY" && sync -f tree'


class Borg(Tool):
    name = "borg"
    remark = "a backup into a new repository, `-e authenticated -C zstd,3`: cut, deduplicated, compressed, " \
             "authenticated; no digest of a whole file, no signature"

    def version(self):
        return shutil.which("borg") and output("borg", "--version").strip()

    def environment(self, case):
        repository = case.out if case.task == "pack" else case.kept(self)
        return {
            "BORG_PASSPHRASE": "bench", "BORG_REPO": str(repository), "BORG_BASE_DIR": str(case.beside / "borg"),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def prepare(self, task, case, environment):
        if task == "pack":
            # What it remembers of the files of the run before would spare it the reading.
            shutil.rmtree(case.beside / "borg", ignore_errors=True)
            case.out.rmdir()
            subprocess.run(["borg", "init", "-e", "authenticated"], env=environment, check=True,
                           capture_output=True)

    def pack(self, case):
        return r'cd "$SRC" && borg create -C zstd,3 ::bundle .'

    def verify(self, case):
        return ["borg", "check", "--verify-data"]

    def unpack(self, case):
        return r'mkdir "$OUT/tree" && cd "$OUT/tree" && borg extract ::bundle && sync -f .'

    def only(self, case):
        return r'mkdir "$OUT/tree" && cd "$OUT/tree" && borg extract ::bundle "$ONLY" && sync -f .'


def programs(cache):
    """Finds a Python program among the peers of the tests, those that this command installed, and on the path."""

    def find(name):
        peers = os.environ.get("CONSIGN_PEERS", cache.parent / "consign-peers")
        for folder in (cache / "peers" / "bin", Path(peers) / "bin"):
            if (folder / name).exists():
                return str(folder / name)
        return shutil.which(name)

    return find


def all_tools(consign, cache):
    find = programs(cache)
    return [Consign(consign), Pipeline(), Overlapped(), Naive(), BagIt(find), ModelSigning(find), Restic(), Borg()]


def make_keys(folder, consign):
    """Keys and a descriptor, as a user would have them before the clock starts."""
    folder.mkdir()
    output(str(consign), "keygen", "--no-passphrase", "-o", str(folder / "consign.key"))
    output("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(folder / "ec.key"))
    output("openssl", "ec", "-in", str(folder / "ec.key"), "-pubout", "-out", str(folder / "ec.pub"))
    (folder / "consign.yaml").write_text(
        "name: measured\nversion: 1.0.0\nkind: model\ntitle: Something to measure\nclassification: public\n"
        "contact:\n  name: Ada Lovelace\n  email: ada@example.org\n"
    )


def check_unpacked(case, tool):
    """Whether everything is there, by count and size; its content is what the tools answer for."""
    found = [file.stat().st_size for file in files(case.out / "tree")]
    expected = (1, (case.data.path / case.only).stat().st_size) if case.task == "only" else (
        case.data.files, case.data.bytes)
    if (len(found), sum(found)) != expected:
        raise Failure(f"{tool.name} {case.task}: {len(found)} files of {sum(found)} bytes, where {expected} are expected")


def check_packed(case, tool):
    """Whether the archive decodes to all of the content, and every file has its digest."""
    if hasattr(tool, "archive"):
        with subprocess.Popen(["zstd", "-qdc", str(tool.archive(case.out))], stdout=subprocess.PIPE) as decoding:
            size = 0
            while piece := decoding.stdout.read(1 << 20):
                size += len(piece)
        if decoding.returncode != 0 or size < case.data.bytes:
            raise Failure(f"{tool.name}: the archive decodes to {size} bytes, of {case.data.bytes}")
    if (case.out / "sums").exists():
        lines = (case.out / "sums").read_text().splitlines()
        if len(lines) != case.data.files:
            raise Failure(f"{tool.name}: {len(lines)} digests of {case.data.files} files")
