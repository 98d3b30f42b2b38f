"""C2SP signed-note, tlog-checkpoint, tlog-tiles and tlog-proof, written from their specifications."""

import base64
import hashlib
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def sha256(data):
    return hashlib.sha256(data).digest()


def key_id(name, public):
    return sha256(name.encode() + b"\n\x01" + public)[:4]


def leaf(data):
    return sha256(b"\0" + data)


def node(left, right):
    return sha256(b"\1" + left + right)


def root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node(root(leaves[:half]), root(leaves[half:]))


def checkpoint(note, vkey):
    """Origin, size and root of a checkpoint that is validly signed."""
    name, identifier, material = vkey.split("+", 2)
    material = base64.b64decode(material)
    assert material[0] == 1
    public = material[1:]
    assert key_id(name, public).hex() == identifier
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    valid = 0
    for line in signatures.splitlines():
        dash, who, blob = line.split(" ")
        assert dash == "\u2014"
        blob = base64.b64decode(blob)
        if who == name and blob[:4] == key_id(name, public):
            Ed25519PublicKey.from_public_bytes(public).verify(blob[4:], text.encode())
            valid += 1
    assert valid == 1
    origin, size, root_hash = text.splitlines()[:3]
    assert origin == name
    return origin, int(size), base64.b64decode(root_hash)


def proof(text, vkey):
    """Index and digest of the event that a proof is about, if it holds."""
    head, note = text.split("\n\n", 1)
    first, extra, index, *hashes = head.splitlines()
    assert first == "c2sp.org/tlog-proof@v1"
    event = base64.b64decode(extra.removeprefix("extra "))
    digest = sha256(event) if event.startswith(b"{") else event
    index = int(index.removeprefix("index "))
    _, size, expected = checkpoint(note, vkey)
    hashes = [base64.b64decode(line) for line in hashes]

    # RFC 6962 section 2.1.1, from the root down.
    def up(index, size, path):
        if size == 1:
            assert not path
            return leaf(digest)
        half = 1
        while half * 2 < size:
            half *= 2
        if index < half:
            return node(up(index, half, path[:-1]), path[-1])
        return node(path[-1], up(index - half, size - half, path[:-1]))

    assert 0 <= index < size and up(index, size, hashes) == expected
    return index, digest


def tiles(directory):
    """The root over all entries, after every tile was compared with what follows from them."""
    directory = pathlib.Path(directory)
    _, size, _ = directory.joinpath("checkpoint").read_text().splitlines()[:3]
    size = int(size)
    events = [
        line
        for segment in sorted(directory.joinpath("events").iterdir())
        for line in segment.read_bytes().splitlines()
    ]
    assert len(events) == size
    entries = [sha256(line) for line in events]

    def stored(row, number, width):
        name = f"{number:03}" + (f".p/{width}" if width < 256 else "")
        return directory.joinpath("tile", row, name).read_bytes()

    for number in range(0, (size + 255) // 256):
        some = entries[number * 256 : number * 256 + 256]
        expected = b"".join(len(entry).to_bytes(2, "big") + entry for entry in some)
        assert stored("entries", number, len(some)) == expected
    level, hashes = 0, [leaf(entry) for entry in entries]
    whole = root(hashes)
    while hashes:
        for number in range(0, (len(hashes) + 255) // 256):
            some = hashes[number * 256 : number * 256 + 256]
            assert stored(str(level), number, len(some)) == b"".join(some)
        level += 1
        hashes = [root(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
    return whole


def sign():
    """A new key, and the checkpoint of its ledger that has one event."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = "consign.dev/ledger/" + hashlib.sha256(public).hexdigest()[:16]
    text = f"{name}\n1\n{base64.b64encode(leaf(sha256(b'abc'))).decode()}\n"
    blob = base64.b64encode(key_id(name, public) + private.sign(text.encode())).decode()
    witness = base64.b64encode(b"\1\2\3\4" + bytes(72)).decode()
    material = base64.b64encode(b"\1" + public).decode()
    vkey = f"{name}+{key_id(name, public).hex()}+{material}"
    return f"{vkey}\n{text}\n\u2014 {name} {blob}\n\u2014 witness.example/w1 {witness}\n"


def main():
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    verb, *arguments = sys.argv[1:]
    try:
        if verb == "checkpoint":
            origin, size, root_hash = checkpoint(sys.stdin.read(), *arguments)
            print(origin, size, base64.b64encode(root_hash).decode())
        elif verb == "proof":
            index, digest = proof(sys.stdin.read(), *arguments)
            print(index, digest.hex())
        elif verb == "tiles":
            print(base64.b64encode(tiles(*arguments)).decode())
        elif verb == "sign":
            print(sign(), end="")
    except (AssertionError, InvalidSignature):
        print("no")


main()
