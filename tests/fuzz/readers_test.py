#!/usr/bin/env python3
"""The fuzz targets link: whatever a reader that they are compiled from calls stands in the list of readers too.

libFuzzer builds are made by hand alone, so the list would be found wrong only then. The objects of this build tell before.
Usage: readers_test.py BUILD/src READER...
"""

import pathlib
import subprocess
import sys

PREFIX = "_ZN7eidolon", "_ZNK7eidolon"


def reader_of(folder, file):
    """model/loading/config of model/CMakeFiles/eidolon_model.dir/loading/config.cpp.o."""
    before, after = str(file.relative_to(folder)).split("/CMakeFiles/")
    return f"{before}/{after.split('/', 1)[1].removesuffix('.cpp.o')}"


def symbols_of(folder):
    """This project's names by reader: (those that it defines, those that it needs)."""
    files = list(folder.glob("*/CMakeFiles/**/*.cpp.o"))
    objects = {reader_of(folder, file): (set(), set()) for file in files}
    listing = subprocess.run(["nm", "--print-file-name", *files], capture_output=True, check=True, text=True).stdout
    for line in listing.splitlines():
        file, entry = line.split(":", 1)
        kind, name = entry.split()[-2:]
        if name.startswith(PREFIX):
            objects[reader_of(folder, pathlib.Path(file))][kind == "U"].add(name)
    return objects


def main():
    folder, listed = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
    objects = symbols_of(folder)
    assert len(objects) > len(listed), f"{folder} has {len(objects)} objects, and {len(listed)} readers are listed"
    listed |= {name.removesuffix("_absent") for name in listed}  # what stands in for it where CUDA's headers are not
    listed &= objects.keys()
    makers = {name: reader for reader, (defined, _) in objects.items() if reader not in listed for name in defined}
    inside = {name for reader in listed for name in objects[reader][0]}
    missing = {makers[name] for reader in listed for name in objects[reader][1] - inside if name in makers}
    assert not missing, f"tests/fuzz/CMakeLists.txt does not list {sorted(missing)}"


if __name__ == "__main__":
    main()
