"""Writes pickles that nobody would write, with what Python's own unpicklers import and call while they read them.

    fuzz_pickles.py OUT SEED COUNT

Nothing is executed: find_class gives stand-ins that note what is done with them. Both unpicklers are asked, the one in
C and the one in Python, for they differ. Each record is: length of the pickle, length of what was imported, whether
anything was called (1) and imported by a name of several lines or with a separator (2) (`<IIB`), and both.
"""

import copyreg
import io
import pickle
import random
import resource
import struct
import sys
import warnings

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
copyreg.add_extension("ext_module", "ext_name", 1)
copyreg.add_extension("ext_module", "ext_other", 300)

warnings.simplefilter("ignore")

SEEN = []


def note(*_, **__):
    SEEN.append("call")


class Kind(type):
    """A class of stand-ins: what is done to the class itself is noted, too."""

    def __call__(cls, *args, **kwargs):
        note()
        return type.__call__(cls)

    __setitem__ = append = extend = add = note


class Thing(metaclass=Kind):
    def __new__(cls, *args, **kwargs):
        note()
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    __call__ = __setstate__ = __setitem__ = append = extend = add = note


class Recorder:
    def find_class(self, module, name):
        SEEN.append((module, name))
        return Kind("Stand", (Thing,), {})

    def persistent_load(self, _):
        return None


class InC(Recorder, pickle.Unpickler):
    pass


class InPython(Recorder, pickle._Unpickler):
    pass


def watch(data):
    """What both unpicklers import, and whether either calls anything."""
    imports, called = set(), False
    for loader in (InC, InPython):
        SEEN.clear()
        # Else an entry that was asked for once is never imported again.
        copyreg._extension_cache.clear()
        stream = io.BytesIO(data)
        try:
            # Pickles may follow each other.
            while stream.tell() < len(data):
                loader(stream).load()
        except Exception:
            pass
        called |= "call" in SEEN
        imports |= {one for one in SEEN if one != "call"}
    return imports, called


NAMES = [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "exec"), ("subprocess", "Popen"),
    ("collections", "OrderedDict"), ("numpy", "dtype"), ("my.module", "Class"), ("runpy", "run_path"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"), ("copyreg", "_reconstructor"), ("builtins", "set"),
]
LONG = [0, 1, 5, 255, 256, 257, 1000, 1023, 1024, 1025, 1030, 2000, 5000]


class Maker:
    """One pickle, with a rough idea of what is on the stack, so that most of it can be read."""

    def __init__(self, chance):
        self.r = chance
        self.out = bytearray()
        self.depth = 0
        self.marks = []
        self.keys = []

    def put(self, data, change=1):
        self.out += data
        self.depth = max(0, self.depth + change)

    def word(self, odd=0.1):
        r = self.r
        if r.random() < odd:
            return r.choice(["", "a b", "\u00e9", "x" * r.choice(LONG), "a.b.c", "\t", "'", "\\", "0", "\u200b", "N" * 300])
        return r.choice(r.choice(NAMES))

    def key(self):
        """A key of the memo, spelled as int() takes it."""
        r = self.r
        n = r.choice([0, 1, 2, 3, 7, 255, 256, 1000, 2 ** 16, 2 ** 21, 2 ** 21 - 1, 2 ** 22 + 1, 2 ** 31 - 1, 2 ** 40])
        if r.random() < 0.6:
            n = r.choice([0, 1, 2, 3])
        text = str(n)
        spelling = r.random()
        if spelling < 0.3:
            text = r.choice(["+%s", " %s", "%s ", "\t%s", "0%s", "00_%s", "+0%s", "%s\r", "%s\x0b", "%s\x00x", "-%s", "\x0c%s"]) % text
        return n, text.encode()

    def text(self, text):
        r, data = self.r, text.encode("utf-8")
        kind = r.randrange(8)
        if kind == 0:
            quote = r.choice("'\"")
            body = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
            if r.random() < 0.2:
                body = "".join("\\x%02x" % ord(c) if ord(c) < 256 else "?" for c in body)
            self.put(b"S" + quote.encode() + body.encode("ascii", "replace") + quote.encode() + b"\n")
        elif kind == 1:
            body = text.encode("raw_unicode_escape").replace(b"\n", b"\\u000a")
            if r.random() < 0.3:
                body = b"".join(b"\\u%04x" % (ord(c) & 0xFFFF) for c in text)
            self.put(b"V" + body + b"\n")
        elif kind == 2 and len(data) < 256:
            self.put(b"\x8c" + bytes([len(data)]) + data)
        elif kind == 3:
            self.put(b"\x8d" + struct.pack("<Q", len(data)) + data)
        elif kind == 4 and len(data) < 256:
            self.put(b"U" + bytes([len(data)]) + data)
        elif kind == 5:
            self.put(b"T" + struct.pack("<i", len(data)) + data)
        else:
            self.put(b"X" + struct.pack("<I", len(data)) + data)

    def padding(self):
        """Something large or odd that leaves nothing behind."""
        r = self.r
        n = r.choice(LONG)
        kind = r.randrange(14)
        if kind == 0:
            self.put(b"S'" + b"A" * n + b"'\n0", 0)
        elif kind == 1:
            self.put(b"V" + b"A" * n + b"\n0", 0)
        elif kind == 2:
            self.put(b"I" + r.choice([b"", b" ", b"\t", b"\x0b", b"+", b"-", b"0x", b"00"]) + r.choice([b"1", b"01", b"00", b"99999999999999999999", b"1\0junk"]) + b"\n0", 0)
        elif kind == 3:
            self.put(b"F" + r.choice([b"1", b"nan", b" 1.5", b"inf", b"1e5", b"\t2", b"-0.0"]) + b"\n0", 0)
        elif kind == 4:
            self.put(b"L" + r.choice([b"1L", b"-5L", b"0x10L", b" 7", b"1_000", b"9" * r.choice([1, 30, 300, 1100])]) + b"\n0", 0)
        elif kind == 5:
            self.put(b"(" + b"N" * n + b"1", 0)
        elif kind == 6:
            self.put(b"(" * min(n, 300) + b"1" * min(n, 300), 0)
        elif kind == 7:
            self.put(b"P" + b"x" * n + b"\n0", 0)
        elif kind == 8:
            length = r.choice([0, 1, 9, 20, 60, 2 ** 20])
            self.put(b"\x95" + struct.pack("<Q", length), 0)
        elif kind == 9:
            self.put(b"\x80" + bytes([r.randrange(6)]), 0)
        elif kind == 10:
            self.put(b"B" + struct.pack("<I", n) + b"\x80" * n + b"0", 0)
        elif kind == 11:
            self.put(b"\x8a\x08" + r.randbytes(8) + b"0", 0)
        elif kind == 12:
            self.put(b"N22100" if self.marks else b"N200", 0)
        else:
            self.put(r.choice([b"]0", b"}0", b")0", b"\x8f0", b"J\0\0\0\x800", b"G" + b"\0" * 8 + b"0", b"N\x850", b"NN\x860", b"\x96" + struct.pack("<Q", 3) + b"abc0"]), 0)

    def memo(self):
        r = self.r
        if self.keys and r.random() < 0.6:
            n, text = r.choice(self.keys)
            kind = r.randrange(3)
            if kind == 0 and n < 256:
                self.put(b"h" + bytes([n]))
            elif kind == 1 and n < 2 ** 32:
                self.put(b"j" + struct.pack("<I", n))
            else:
                self.put(b"g" + (text if r.random() < 0.5 else str(n).encode()) + b"\n")
        elif self.depth:
            n, text = self.key()
            kind = r.randrange(4)
            if kind == 0:
                self.put(b"\x94", 0)
                self.keys.append((len(self.keys), str(len(self.keys)).encode()))
                return
            if kind == 1 and n < 256:
                self.put(b"q" + bytes([n]), 0)
            elif kind == 2 and n < 2 ** 23:
                self.put(b"r" + struct.pack("<I", n), 0)
            else:
                self.put(b"p" + text + b"\n", 0)
            self.keys.append((n, text))

    def imported(self):
        r = self.r
        module, name = r.choice(NAMES)
        if r.random() < 0.1:
            name = r.choice([name + ".x", ".".join(["path"] * 80), "x" * 300, "a b", ""])
        kind = r.randrange(5)
        if kind < 2:
            self.put(b"c" + module.encode() + b"\n" + name.encode() + b"\n")
        elif kind == 2:
            self.put(b"\x82\x01" if r.random() < 0.5 else b"\x83" + struct.pack("<H", 300))
        else:
            self.text(module)
            if r.random() < 0.2:
                self.padding()
            self.text(name)
            if r.random() < 0.2:
                self.padding()
            self.put(b"\x93", -1)

    def arguments(self):
        r = self.r
        kind = r.randrange(4)
        if kind == 0:
            self.put(b")")
        elif kind == 1:
            self.text(self.word())
            self.put(b"\x85", 0)
        elif kind == 2:
            self.put(b"(", 0)
            self.text(self.word())
            self.put(b"t", 0)
        else:
            self.put(b"NN\x86")

    def called(self):
        r = self.r
        kind = r.randrange(9)
        if kind == 0:
            module, name = r.choice(NAMES)
            self.put(b"(i" + module.encode() + b"\n" + name.encode() + b"\n")
            return
        if kind == 1:
            self.put(b"(", 0)
            self.imported()
            self.put(b"o", 0)
            return
        self.imported()
        if r.random() < 0.3:
            self.memo()
        if r.random() < 0.3:
            self.padding()
        if kind == 2:
            self.put(b"}", 1)
            self.put(b"b", -1)
        elif kind == 3:
            self.put(b"N", 1)
            self.put(b"a", -1)
        elif kind == 4:
            self.put(b"NN", 2)
            self.put(b"s", -2)
        elif kind == 5:
            self.put(r.choice([b"(Ne", b"(N\x90", b"(NNu"]), 0)
        else:
            self.arguments()
            if kind == 6:
                self.put(b"}\x92", -1)
            else:
                self.put(r.choice([b"R", b"\x81"]), -1)

    def step(self):
        r = self.r
        what = r.random()
        if what < 0.3:
            self.padding()
        elif what < 0.45:
            self.memo()
        elif what < 0.55:
            self.text(self.word(0.3))
        elif what < 0.63:
            self.imported()
        elif what < 0.75:
            self.called()
        elif what < 0.8:
            self.put(b"(", 0)
            self.marks.append(self.depth)
        elif what < 0.85 and self.marks:
            self.depth = self.marks.pop()
            self.put(r.choice([b"t", b"l", b"1", b"\x91"]), 0)
        elif what < 0.88 and self.depth:
            self.put(r.choice([b"2", b"0", b"\x85", b"Q", b"R", b"b", b"\x93", b"\x81"]), 0)
        elif what < 0.9:
            # A pickle within, for something to load.
            inner = Maker(r)
            for _ in range(r.randrange(4)):
                inner.step()
            data = bytes(inner.out) + b"."
            self.put(b"B" + struct.pack("<I", len(data)) + data)
        elif what < 0.91:
            self.put(b".", -1)
        elif what < 0.915:
            self.put(bytes([r.randrange(256)]), 0)


def make(r):
    maker = Maker(r)
    if r.random() < 0.4:
        maker.put(b"\x80" + bytes([r.randrange(6)]), 0)
    for _ in range(r.choice([1, 2, 3, 5, 8, 13])):
        maker.step()
    if r.random() < 0.3:
        maker.called()
    out = maker.out
    if r.random() < 0.8:
        out += b"."
    if r.random() < 0.15 and out:
        # Broken somewhere.
        at = r.randrange(len(out))
        how = r.randrange(3)
        if how == 0:
            out[at] = r.randrange(256)
        elif how == 1:
            del out[at]
        else:
            out.insert(at, r.choice(b"(.0122NtRbegjpqr\x80\x93\x94\x95"))
    return bytes(out)


def main():
    out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    with open(out, "wb") as file:
        for _ in range(count):
            data = make(chance)
            imports, called = watch(data)
            # Names that could not be told apart in the record; nothing has such a name.
            unwritten = {one for one in imports if {"\n", "\x1f"} & set("".join(one))}
            text = "\n".join(f"{module}\x1f{name}" for module, name in sorted(imports - unwritten))
            info = text.encode("utf-8", "replace")
            file.write(struct.pack("<IIB", len(data), len(info), called + 2 * bool(unwritten)) + data + info)


main()
