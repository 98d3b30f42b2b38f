"""Writes pickles into the folder given: harmless ones into benign/, others into malicious/. Runs none of them.

The malicious ones would only ever call something with the argument `true` or `1`, if anyone loaded them.
"""

import array
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import pickle
import struct
import sys
import warnings

import joblib
import numpy as np
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

warnings.simplefilter("ignore")
out = pathlib.Path(sys.argv[1])
for folder in ("benign", "malicious"):
    (out / folder).mkdir(parents=True)


def benign(name, data):
    (out / "benign" / name).write_bytes(data)


def malicious(name, data):
    (out / "malicious" / name).write_bytes(data)


def dumped(name, value, protocols=(0, 2, 4, 5)):
    for protocol in protocols:
        benign(f"{name}-{protocol}.pkl", pickle.dumps(value, protocol))


# --- harmless: data

dumped("plain", {"a": [1, 2.5, -3, None, True], "b": ("x", b"y", "ü" * 300), "c": {1, 2}, "n": 10**40})
dumped("strings", [f"word{n}" for n in range(5000)], (2, 4))
dumped("collections", [collections.OrderedDict(a=1), collections.defaultdict(list, x=[1]), collections.deque([1]),
                       collections.Counter("aab")])
dumped("times", [datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), datetime.timedelta(1),
                 decimal.Decimal("1.5"), fractions.Fraction(1, 3)])
dumped("builtins", [complex(1, 2), range(3), slice(1, 2), bytearray(b"x"), frozenset([1]), array.array("d", [1.0])])
dumped("numpy", {"f": np.arange(12.0).reshape(3, 4), "i": np.int64(3), "d": np.dtype("f4"),
                 "s": np.array(["a", "bc"]), "r": np.zeros(2, dtype=[("a", "f4"), ("b", "i8")]),
                 "o": np.array([1, "x", None], dtype=object)})
dumped("random", np.random.RandomState(1), (2, 4))
dumped("generator", np.random.default_rng(1), (2, 4))
dumped("sparse", scipy.sparse.csr_matrix(np.eye(3)), (2, 4))

# --- harmless: models of scikit-learn

random = np.random.RandomState(0)
x, y = random.rand(60, 5), random.randint(0, 3, 60)
models = {
    "linear": LinearRegression(), "logistic": LogisticRegression(), "forest": RandomForestClassifier(5),
    "boosting": GradientBoostingClassifier(n_estimators=3), "hist": HistGradientBoostingClassifier(max_iter=3),
    "knn": KNeighborsClassifier(), "kmeans": KMeans(3, n_init=1), "pca": PCA(2), "svm": SVC(), "tree": DecisionTreeClassifier(),
    "bayes": GaussianNB(), "sgd": SGDClassifier(), "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}
for name, model in models.items():
    model.fit(x, y)
    benign(f"sklearn-{name}.pkl", pickle.dumps(model))
    joblib.dump(model, out / "benign" / f"joblib-{name}.joblib")
joblib.dump(models["forest"], out / "benign" / "joblib-compressed.pkl.z", compress=("zlib", 3))
joblib.dump(models["forest"], out / "benign" / "joblib-compressed.pkl.gz", compress=("gzip", 3))
for protocol in (2, 3):
    joblib.dump(models["forest"], out / "benign" / f"joblib-protocol{protocol}.joblib", protocol=protocol)
joblib.dump({"o": np.array([{"a": 1}, "x"], dtype=object), "r": np.zeros(3, dtype=[("a", "f4"), ("b", "U3")]),
             "e": np.zeros((0, 3)), "z": np.array(1.5), "b": np.ones(7, bool), "f": np.asfortranarray(np.eye(3)),
             "ro": np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")])},
            out / "benign" / "joblib-arrays.joblib")
benign("sklearn-vectorizer.pkl", pickle.dumps(CountVectorizer().fit(["a text", "another text"])))
benign("sklearn-onehot.pkl", pickle.dumps(OneHotEncoder().fit([["a"], ["b"]])))

# --- harmless: what torch.save writes, by hand

DATA = io.BytesIO()


class TorchPickler(pickle.Pickler):
    """Storages become persistent ids; what they are imported from does not exist here, so GLOBAL is written."""

    def persistent_id(self, value):
        return value.key if isinstance(value, Storage) else None


class Storage:
    def __init__(self, key):
        self.key = key


def g(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def u(text):
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def torch_state(extra=b"", names=("weight", "bias")):
    """A state dict of tensors: `_rebuild_tensor_v2(persistent id, offset, size, stride, False, OrderedDict())`."""
    data = b"\x80\x02" + g("collections", "OrderedDict") + b"q\x00)Rq\x01("
    for n, name in enumerate(names):
        data += u(name) + g("torch._utils", "_rebuild_tensor_v2") + b"(("
        data += u("storage") + g("torch", "FloatStorage") + u(str(n)) + u("cpu") + b"K\x04tQ"
        data += b"K\x00K\x04\x85K\x01\x85\x89" + g("collections", "OrderedDict") + b")RtR"
    return data + b"u" + extra + b"."


benign("torch-state.pkl", torch_state())
benign("torch-module.pkl", b"\x80\x02" + g("torch.nn.modules.linear", "Linear") + b")\x81}(" + u("training") + b"\x88" + u("in_features") + b"K\x04ub.")
legacy = b"".join(pickle.dumps(value, 2) for value in (
    0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}))
legacy += torch_state() + pickle.dumps(["0", "1"], 2)
for n in range(2):
    legacy += struct.pack("<q", 4) + struct.pack("<4f", *range(4))
benign("torch-legacy.pt", legacy)

# --- not harmless


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


import os  # noqa: E402 (nothing above may depend on it)

for protocol in range(6):
    malicious(f"system-{protocol}.pkl", pickle.dumps(Call(os.system, "true"), protocol))
    malicious(f"eval-{protocol}.pkl", pickle.dumps({"a": 1, "b": Call(eval, "1")}, protocol))

TARGETS = """
builtins exec|builtins compile|builtins open|builtins getattr|builtins __import__|__builtin__ eval|__builtin__ apply
nt system|posix popen|os popen|os execv|os.path join|subprocess Popen|subprocess check_output|commands getoutput
runpy run_path|runpy _run_code|importlib import_module|importlib._bootstrap _call_with_frames_removed|imp load_source
pip main|pip._internal.cli.main main|pty spawn|shutil rmtree|socket create_connection|ssl get_server_certificate
webbrowser open|ctypes CDLL|sys exit|code InteractiveInterpreter|bdb Bdb|pdb run|cProfile run|profile run|timeit timeit
doctest debug_script|pickle loads|_pickle loads|cPickle loads|dill loads|marshal loads|types CodeType|types FunctionType
functools partial|operator attrgetter|operator methodcaller|_operator itemgetter|asyncio run|aiohttp get|requests.api get
urllib.request urlopen|httplib HTTPSConnection|logging FileHandler|_io FileIO|io FileIO|numpy.testing._private.utils runstring
numpy.f2py crackfortran|numpy load|torch load|torch.serialization load|torch._inductor.codecache compile_file
torch.utils.collect_env run|torch.hub load|torch._dynamo.guards GuardBuilder.get|torch.serialization os.system
cloudpickle.cloudpickle _make_function|cloudpickle.cloudpickle subimport|pkgutil resolve_name|pydoc pipepager|uuid _get_command_stdout
venv main|ensurepip _run_pip|idlelib.pyshell ModifiedInterpreter.runcode|lib2to3.pgen2.grammar Grammar.loads|test.support run_unittest
trace Trace.run|imaplib IMAP4_stream|distutils.file_util write_file|_osx_support _read_output|multiprocessing Process|inspect getattr_static
gc get_objects|site main|zipimport zipimporter|codeop compile_command|unittest main|antigravity x|my_module Payload|keras.models load_model
joblib load|tempfile mktemp|glob glob|signal signal|threading Thread|sqlite3 connect|smtplib SMTP|platform popen|collections os
"""
for target in TARGETS.replace("\n", "|").split("|"):
    if target:
        module, name = target.split()
        malicious(f"target-{module}.{name}.pkl", b"\x80\x02" + g(module, name) + u("true") + b"\x85R.")


def su(text):
    return b"\x8c" + bytes([len(text.encode())]) + text.encode()


ways = {
    "stack-global": su("os") + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-memo": su("os") + b"\x94" + su("system") + b"\x940h\x00h\x01\x93" + su("true") + b"\x85R.",
    "stack-global-memo-overwritten": su("collections") + b"q\x00" + b"0" + su("os") + b"q\x000h\x00" + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-memo-and-puts": su("collections") + b"q\x05" + su("os") + b"\x94" + b"00" + b"h\x01" + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-dup": su("system") + su("os") + b"2" + su("x") + b"0" + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-long": u("os") + b"\x8d" + struct.pack("<Q", 6) + b"system" + b"\x93" + su("true") + b"\x85R.",
    "stack-global-old-strings": b"U\x02osT\x06\x00\x00\x00system\x93" + su("true") + b"\x85R.",
    "stack-global-escaped-string": b"S'\\x6f\\163'\nV\\u0073ystem\n\x93" + su("true") + b"\x85R.",
    "stack-global-popped-mark": b"(" + su("a") + su("b") + b"1" + su("os") + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-mark-popped": su("os") + b"(0" + su("system") + b"\x93" + su("true") + b"\x85R.",
    "stack-global-long-get": su("os") + b"r\xff\xff\x00\x00" + su("system") + b"p100\n00" + b"j\xff\xff\x00\x00g100\n\x93" + su("true") + b"\x85R.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "obj": b"(" + g("os", "system") + b"S'true'\no.",
    "newobj": g("subprocess", "Popen") + u("true") + b"\x85\x81.",
    "newobj-ex": g("subprocess", "Popen") + u("true") + b"\x85}\x92.",
    "build": g("my_module", "Thing") + b")\x81}" + u("x") + g("os", "system") + b"sb.",
    "getattr-chain": g("builtins", "getattr") + g("builtins", "__import__") + u("os") + b"\x85R" + u("system") + b"\x86R" + u("true") + b"\x85R.",
    "safe-then-system": g("collections", "OrderedDict") + b")R0" + g("posix", "system") + u("true") + b"\x85R.",
    "nested": g("pickle", "loads") + b"C" + bytes([len(b"cos\nsystem\n(S'true'\ntR.")]) + b"cos\nsystem\n(S'true'\ntR." + b"\x85R.",
    "broken-after": g("os", "system") + u("true") + b"\x85R\xff\xff\xff",
    "cut-after": g("os", "system") + u("true") + b"\x85R(",
    "no-stop": g("os", "system") + u("true") + b"\x85R",
    "junk-behind": g("os", "system") + u("true") + b"\x85R." + b"\x00\xff" * 20,
    "second": b"N.\x80\x02" + g("os", "system") + u("true") + b"\x85R.",
    "import-only": g("os", "system") + b".",
    "long-before": b"B" + struct.pack("<I", 200_000) + bytes(200_000) + b"0" + g("os", "system") + u("true") + b"\x85R.",
}
for name, code in ways.items():
    for protocol in (b"\x80\x04", b""):
        if name == "second":
            code = code.replace(b"\x80\x02", protocol)
            malicious(f"way-{name}-{len(protocol)}.pkl", b"\x80\x04" + code)
        elif protocol or name not in ("import-only", "build"):
            malicious(f"way-{name}-{len(protocol)}.pkl", protocol + code)
malicious("torch-state-system.pkl", torch_state(b"0" + g("os", "system") + u("true") + b"\x85R"))
malicious("torch-legacy-system.pt", legacy[: legacy.index(torch_state())] + torch_state(b"0" + g("os", "system") + u("true") + b"\x85R") + pickle.dumps([], 2))
malicious("torch-load-bytes.pkl", b"\x80\x02" + g("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(legacy)) + legacy + b"\x85R.")
malicious("extension.pkl", b"\x80\x02\x82\x05" + u("true") + b"\x85R.")
joblib.dump({"x": np.arange(1000.0), "y": Call(os.system, "true")}, out / "malicious" / "joblib-system.joblib")
joblib.dump({"x": np.array([Call(os.system, "true")], dtype=object)}, out / "malicious" / "joblib-objects.joblib")
joblib.dump({"x": np.arange(1000.0), "y": Call(os.system, "true")}, out / "malicious" / "joblib-system.pkl.z", compress=3)
# For a loader that knows nothing of joblib, the padding before an array is opcodes: 78 bytes of it, which is `N`.
buffer = io.BytesIO()
joblib.dump(np.zeros(8, dtype="u1"), buffer)
data = buffer.getvalue()
at = data.index(b"ub", data.index(b"alignment")) + 2
opcodes = (b"0" + g("os", "system") + u("true") + b"\x85R.").ljust(78, b".")
malicious("joblib-padding-of-opcodes.joblib", data[:at] + b"N" + opcodes + data[at + 1 + data[at] :])
