"""Writes model files with the libraries that own their formats into the folder given."""

import json
import pathlib
import sys
import zipfile

import gguf
import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

out = pathlib.Path(sys.argv[1])
out.mkdir()

save_file({"a": np.zeros((3, 4), "f4"), "b": np.ones(5, "i8"), "e": np.zeros((0,), "f2")}, out / "a.safetensors", {"format": "np"})

for name, template in (("a.gguf", None), ("template.gguf", "{{ messages }}")):
    writer = gguf.GGUFWriter(out / name, "llama")
    writer.add_block_count(1)
    writer.add_token_list(["a", "b", "c"])
    writer.add_float32("x.y", 1.5)
    if template:
        writer.add_chat_template(template)
    writer.add_tensor("f", np.zeros((3, 5), "f4"))
    writer.add_tensor("q", gguf.quants.quantize(np.zeros((2, 64), "f4"), gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])


def model(nodes, initializers, **more):
    graph = helper.make_graph(nodes, "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])], initializers)
    return helper.make_model(graph, producer_name="test", **more)


weights = numpy_helper.from_array(np.arange(3, dtype="f4"), "w")
add = helper.make_node("Add", ["x", "w"], ["y"])
onnx.save(model([add], [weights]), out / "a.onnx")
onnx.save(model([add], [helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])]), out / "floats.onnx")
custom = helper.make_node("Mine", ["x", "w"], ["y"], domain="my.ops")
onnx.save(model([custom], [weights], opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)]), out / "custom.onnx")
onnx.save(model([add], [weights]), out / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
(out / "weights.bin").unlink()


def keras(layer):
    return json.dumps({"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}, layer]},
        "registered_name": None})


layers = {
    "plain": {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None},
    "lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}, "registered_name": None},
    "custom": {"module": "my.layers", "class_name": "Mine", "config": {}, "registered_name": "my>Mine"},
}
random = np.random.default_rng(1)
for name, layer in layers.items():
    with h5py.File(out / f"{name}.h5", "w") as file:
        file.create_dataset("w", data=random.random(20_000))
        file.attrs["model_config"] = keras(layer).encode()
        file.attrs["keras_version"] = "3"
    with zipfile.ZipFile(out / f"{name}.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", keras(layer))
        archive.write(out / "plain.h5", "model.weights.h5")
# Longer than an object header takes.
with h5py.File(out / "long.h5", "w") as file:
    file.attrs["model_config"] = keras({**layers["lambda"], "config": {"text": "x" * 200_000}})

np.save(out / "a.npy", np.arange(6.0).reshape(2, 3))
np.save(out / "s.npy", np.array(["a", "bc"]))
np.save(out / "r.npy", np.zeros(2, dtype=[("a", "f4"), ("b", "U3")]))
np.save(out / "o.npy", np.array([1, "x"], dtype=object))
np.savez(out / "a.npz", a=np.arange(3), b=np.zeros(100_000))
np.savez_compressed(out / "c.npz", a=np.arange(3), o=np.array([None, 1], dtype=object))


class Stream:
    """Cannot seek, so that zipfile writes sizes behind the data."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def write(self, data):
        return self.file.write(data)

    def flush(self):
        self.file.flush()


for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
    for kind, target in (("file", out / f"{name}.zip"), ("stream", Stream(out / f"{name}-stream.zip"))):
        with zipfile.ZipFile(target, "w", method) as archive:
            archive.writestr("a.txt", "text " * 1000)
            archive.writestr("ü/empty", "")
            archive.writestr("numbers", random.bytes(100_000))
            with archive.open("large", "w", force_zip64=True) as member:
                member.write(b"PK\x07\x08" * 10_000)
            archive.comment = b"a comment"
        if kind == "stream":
            target.file.close()

types = {str(int(kind)): [kind.name, *size] for kind, size in gguf.GGML_QUANT_SIZES.items()}
(out / "types.json").write_text(json.dumps(types))
