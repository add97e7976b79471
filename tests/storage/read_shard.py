"""Reads the shard of image_shard_test.cpp with h5py and coreutils alone. Usage: read_shard.py FILE"""

import json
import subprocess
import sys

import h5py
import numpy as np

path = sys.argv[1]

# The five lines.
with h5py.File(path) as shard:
    data = {name: dataset[:] for name, dataset in shard.items()}
    attributes = dict(shard.attrs)
    chunks = shard["images"].chunks
    userblock = shard.userblock_size


def counting(shape, dtype):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


expected = {
    "images": counting((3, 3, 8, 6), np.uint8),
    "global_index": np.arange(16, 19, dtype=np.int64),
    "semantic_classes": counting((3, 4), np.int32) - 1,
    "crop_boxes": counting((3, 4, 4), np.int32) - 1,
    "class_logits": counting((3, 4), np.float32) / 2,
    "soft_labels": counting((3, 10), np.float32) / 64,
    "losses": counting((3, 2), np.float32) / 8,
}
assert data.keys() == expected.keys(), data.keys() ^ expected.keys()
for name, values in expected.items():
    assert data[name].dtype == values.dtype and np.array_equal(data[name], values), name
assert chunks == (1, 3, 8, 6), chunks
assert all(type(text) is str for text in attributes.values()), attributes
assert json.loads(attributes["loss_names"]) == ["prior", "total_variation"]
assert attributes["job"] == 'name = "größe"\n' and attributes["layout"] == "NCHW" and attributes["data_free"] == "true"

lines = open(path, "rb").read(512).decode().split("\n")
pipeline = subprocess.run(["sh", "-c", 'tail -c +513 "$0" | sha256sum', path], capture_output=True, text=True, check=True)
assert userblock == 512 and lines[0] == "eidolon image shard", lines
assert lines[1] == "sha256 " + pipeline.stdout.split()[0], (lines, pipeline.stdout)
