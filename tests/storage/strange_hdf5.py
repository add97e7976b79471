"""Writes sealed HDF5 files that use what HDF5 offers beyond plain datasets. Usage: strange_hdf5.py FOLDER"""

import hashlib
import pathlib
import re
import struct
import sys

import h5py
import numpy as np

folder = pathlib.Path(sys.argv[1])


def sealed(name):
    """Calls the function with an open file, then seals the file, as docs/reference/files.md says."""

    def write(fill):
        path = folder / f"{name}.h5"
        with h5py.File(path, "w", userblock_size=512, libver=("earliest", "v110")) as file:
            fill(file)
        seal(path, path.read_bytes())

    return write


def seal(path, data):
    lines = f"a stranger's file\nsha256 {hashlib.sha256(data[512:]).hexdigest()}\n"
    text = f"{lines}seal {hashlib.sha256(lines.encode()).hexdigest()}\n".encode()
    path.write_bytes(text.ljust(512, b"\0") + data[512:])


values = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
secret = folder / "secret"
secret.write_bytes(b"password")


@sealed("plain")
def _(file):
    file["contiguous"] = values
    file.create_dataset("chunked", data=values, chunks=(1, 3, 2, 2))
    file.create_dataset("ragged", data=np.arange(35, dtype=np.int32).reshape(5, 7), chunks=(2, 3))
    file["group/scalar"] = np.float32(7)
    file["empty"] = np.zeros((0, 4), np.float32)
    file.attrs["text"] = "of a stranger"


@sealed("external_storage")
def _(file):
    file.create_dataset("images", (8,), np.uint8, external=[(str(secret), 0, 8)])


@sealed("virtual")
def _(file):
    layout = h5py.VirtualLayout((8,), np.uint8)
    layout[:] = h5py.VirtualSource(str(folder / "plain.h5"), "contiguous", (8,))
    file.create_virtual_dataset("images", layout)


for name, options in {"gzip": {"compression": "gzip"}, "shuffle": {"shuffle": True}, "checksum": {"fletcher32": True}}.items():
    sealed(name)(lambda file: file.create_dataset("images", data=values, chunks=(1, 3, 2, 2), **options))


@sealed("no_chunk")
def _(file):
    file.create_dataset("images", (1 << 20, 3, 1024, 1024), np.uint8, chunks=(1, 3, 8, 8))


@sealed("one_chunk")
def _(file):
    file.create_dataset("images", (1 << 20, 3, 8, 8), np.uint8, chunks=(1, 3, 8, 8))[7] = 1


@sealed("missing_chunk")  # what is stored suffices by its size alone: a chunk reaches far beyond the dataset
def _(file):
    file.create_dataset("images", (2, 3, 2, 2), np.uint8, chunks=(1, 3, 64, 64), maxshape=(2, 3, 64, 64))[0] = 1


@sealed("never_written")
def _(file):
    file.create_dataset("images", (1 << 40,), np.uint8)


@sealed("beyond_counting")
def _(file):
    file.create_dataset("images", (1 << 32, 1 << 32), np.uint8)


@sealed("empty_beyond_counting")
def _(file):
    file.create_dataset("images", (0, 1 << 32, 1 << 32), np.uint8, chunks=(1, 1, 1), maxshape=(None, 1 << 32, 1 << 32))


@sealed("null_space")
def _(file):
    file["images"] = h5py.Empty(np.uint8)


@sealed("external_link")
def _(file):
    file["images"] = h5py.ExternalLink(str(folder / "plain.h5"), "/contiguous")


@sealed("soft_link")
def _(file):
    file["here"] = values
    file["images"] = h5py.SoftLink("/here")


@sealed("one_dataset_of_many_names")
def _(file):
    file["images"] = np.zeros(100_000, np.uint8)
    for i in range(1000):
        file[f"again{i}"] = file["images"]


@sealed("deep_groups")
def _(file):
    group = file
    for _ in range(2000):
        group = group.create_group("g")
    group["images"] = values


# Each text lies once in the file, and an attribute holds where: its length, address and index. Here all hold where the longest
# lies. Object headers of the earliest format have no checksum.
@sealed("one_text_of_many_attributes")
def _(file):
    file["images"] = values
    file.attrs["a"] = "x" * 60_000
    for i in range(100):
        file.attrs[f"b{i:02}"] = "y" * (1000 + i)


def share_one_text(path):
    data = bytearray(path.read_bytes())
    found = lambda length: [m.start() for m in re.finditer(re.escape(struct.pack("<I", length)), data)
                            if data[m.start() + 8 : m.start() + 12] == bytes(4) and data[m.start() + 12 : m.start() + 13] != b"\0"]
    longest = next(at for at in found(60_000) if any(data[at + 4 : at + 8]))
    for i in range(100):
        for at in found(1000 + i):
            data[at : at + 16] = data[longest : longest + 16]
    seal(path, bytes(data))


share_one_text(folder / "one_text_of_many_attributes.h5")
