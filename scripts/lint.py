"""Runs clang-tidy and shellcheck on changed files; see the head of scripts/lint."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("EIDOLON_BUILD", SOURCE / "build"))
CLANG_TIDY = os.environ["EIDOLON_LINT_VENV"] + "/bin/clang-tidy"
# GCC's precompiled header is of no use to clang, and clang does not know all of GCC's warnings.
OF_GCC = re.compile(r" -Winvalid-pch| -include \S+cmake_pch\.hxx| -Wno-restrict| -Wno-stringop-overflow| -Werror")


def git(*words):
    return subprocess.run(["git", *words], cwd=SOURCE, capture_output=True, text=True, check=True).stdout.splitlines()


def changed_files(base):
    """Paths that differ from the commit; without it, those that differ from HEAD."""
    if subprocess.run(["git", "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"], cwd=SOURCE,
                      stdout=subprocess.DEVNULL).returncode != 0:
        print(f"This clone has no commit {base}: only what is not committed is checked.", file=sys.stderr)
        base = "HEAD"
    return git("diff", "--name-only", "--diff-filter=d", base) + git("ls-files", "--others", "--exclude-standard")


def compile_commands():
    """Folder of a copy of the compile commands that clang understands, and the files that it has."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    for command in commands:
        command["command"] = OF_GCC.sub("", command["command"])
    folder = BUILD / "lint"
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(commands))
    return folder, {str(pathlib.Path(command["file"]).relative_to(SOURCE)) for command in commands}


def sources_of(paths, known):
    """The C++ files to check, in the order of the paths, a header by the file of the same name."""
    names = [re.sub(r"\.h$", ".cpp", path) for path in paths if path.endswith((".cpp", ".h"))]
    return [name for name in dict.fromkeys(names) if name in known]


def is_shell_script(path):
    file = SOURCE / path
    if not file.is_file():
        return False
    if path == "scripts/environment" or path.endswith(".sh"):
        return True
    with open(file, "rb") as opened:
        return opened.readline().startswith(b"#!/usr/bin/env bash")


def check_shell(paths):
    """Whether shellcheck finds nothing; it is optional, and its absence is said."""
    scripts = [path for path in paths if is_shell_script(path)]
    if not scripts:
        return True
    if shutil.which("shellcheck") is None:
        print("shellcheck is not installed: shell scripts are not checked.", file=sys.stderr)
        return True
    return subprocess.run(["shellcheck", "--shell=bash", "--external-sources", "--severity=warning", *scripts],
                          cwd=SOURCE).returncode == 0


def check_cpp(files, folder, seconds):
    """Whether clang-tidy finds nothing in the files that it reaches within the time."""
    began = time.monotonic()
    left_out = []

    def check(file):
        if time.monotonic() - began > seconds:
            left_out.append(file)
            return True
        result = subprocess.run([CLANG_TIDY, "-p", str(folder), "--quiet", file], cwd=SOURCE, capture_output=True, text=True)
        if result.returncode != 0:
            print(result.stdout or result.stderr, flush=True)
        return result.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        clean = all(list(pool.map(check, files)))
    print(f"clang-tidy: {len(files) - len(left_out)} files in {time.monotonic() - began:.0f} s", file=sys.stderr)
    if left_out:
        print(f"Not checked within {seconds:.0f} s: {' '.join(left_out)}", file=sys.stderr)
    return clean


def main():
    parser = argparse.ArgumentParser(description="see the head of scripts/lint")
    parser.add_argument("base", nargs="?", default="HEAD~1")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    paths = git("ls-files", "--cached", "--others", "--exclude-standard") if options.all else changed_files(options.base)
    if not pathlib.Path(CLANG_TIDY).exists():
        raise SystemExit(f"error: {CLANG_TIDY} is missing; scripts/setup installs it")
    folder, known = compile_commands()
    seconds = float(os.environ.get("EIDOLON_LINT_SECONDS", "inf"))
    clean = [check_shell(paths), check_cpp(sources_of(paths, known), folder, seconds)]
    raise SystemExit(0 if all(clean) else 1)


if __name__ == "__main__":
    main()
