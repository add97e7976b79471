"""Completion and the man page say what the command line takes, and shells take them."""
import functools
import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from program import BINARY, SOURCE, ProgramTest


@functools.cache
def printed(*words):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, check=True).stdout


def commands():
    return re.findall(r"^  ([a-z]+) ", printed("--help").partition("Subcommands:")[2], re.M)


def flags(command):
    return set(re.findall(r"^  (?:-h,)?(--[a-z-]+)", printed(command, "--help"), re.M))


class CommandPages(ProgramTest):
    def setUp(self):
        super().setUp()
        self.keys = set(re.findall(r"^([\w.]+) = ", printed("keys", "--all"), re.M))
        self.targets = set(re.findall(r"^ +([a-z-]+): ", printed("export", "--help"), re.M))
        self.assertGreater(len(commands()), 9)
        self.assertIn("onnx", self.targets)

    def script(self, shell):
        path = self.folder / f"completion.{shell}"
        path.write_text(printed("completion", shell))
        return path

    def assert_completes(self, complete):
        """complete(words, begun) gives what a shell offers for the word that was begun."""
        self.assertLessEqual(set(commands()), complete([], ""))
        for command in commands():
            self.assertEqual(complete([command], "--") & flags(command), flags(command) - {"--"}, command)
        self.assertEqual(complete(["run", "--set"], ""), {key + "=" for key in self.keys})
        self.assertEqual(complete(["export", "--target"], ""), self.targets)
        self.assertEqual(complete(["completion"], ""), {"bash", "zsh", "fish"})
        self.assertNotIn("--target", complete(["run"], "--"))
        self.assertTrue(any("job.toml" in word for word in complete(["run"], str(self.job)[:-3])))

    def test_bash_completes(self):
        script = self.script("bash")

        def complete(words, begun):
            line = ["eidolon", *words, begun]
            code = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD={len(line) - 1}; _eidolon; printf "%s\\n" "${{COMPREPLY[@]}}"'
            return set(subprocess.run(["bash", "-c", code, "bash", *line], capture_output=True, text=True, check=True).stdout.split())

        self.assert_completes(complete)

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_shellcheck_finds_nothing_in_what_bash_reads(self):
        found = subprocess.run(["shellcheck", "-s", "bash", self.script("bash")], capture_output=True, text=True)
        self.assertEqual(found.stdout, "")

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_completes(self):
        script = self.script("fish")

        def complete(words, begun):
            code = f"source {script}; complete -C '{' '.join(['eidolon', *words, begun])}'"
            lines = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
            return {line.partition("\t")[0] for line in lines}

        self.assert_completes(complete)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_completes(self):
        functions = self.folder / "functions"
        functions.mkdir()
        self.script("zsh").rename(functions / "_eidolon")
        shell, terminal = pty.openpty()
        process = subprocess.Popen(["zsh", "-f", "-i"], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                                   env={**os.environ, "TERM": "dumb"}, cwd=self.folder)
        self.addCleanup(lambda: (process.kill(), process.wait(), os.close(shell), os.close(terminal)))

        def seen_after(text, wanted):
            os.write(shell, text.encode())
            seen, deadline = "", time.monotonic() + 30
            while wanted not in seen and time.monotonic() < deadline:
                if select.select([shell], [], [], 0.2)[0]:
                    seen += os.read(shell, 4096).decode(errors="replace")
            self.assertIn(wanted, seen, text)

        seen_after(f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; print is-$((1))-ready\n", "is-1-ready")
        for line, wanted in (("ex", "export"), ("export --target op", "openvino"), ("export --tar", "--target"),
                             ("run --set synthesis.im", "synthesis.images="), ("completion f", "fish")):
            seen_after(f"\x15eidolon {line}\t", wanted)  # \x15: what stands in the line goes

    def test_the_man_page_has_every_command_and_flag(self):
        page = printed("man").replace("\\-", "-")
        for command in commands():
            section = re.search(rf'^\.SS "{command}\b.*?(?=^\.S[SH])', page, re.M | re.S)
            self.assertIsNotNone(section, command)
            self.assertEqual(set(re.findall(r"^\.B (--[a-z-]+)", section[0], re.M)), flags(command) - {"--help"}, command)

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_the_man_page_is_sound(self):
        path = self.folder / "eidolon.1"
        path.write_text(printed("man"))
        found = subprocess.run(["mandoc", "-T", "lint", "-W", "error", path], capture_output=True, text=True)
        self.assertEqual((found.returncode, found.stdout), (0, ""))
        shown = subprocess.run(["mandoc", "-T", "ascii", path], capture_output=True, text=True).stdout
        self.assertIn("EXIT STATUS", re.sub(".\b", "", shown))  # a terminal's bold letters are printed twice

    def test_the_page_of_commands_is_as_the_program_prints_them(self):
        page = (SOURCE / "docs" / "reference" / "commands.md").read_text()
        for words in ([], *([command] for command in commands())):
            self.assertIn(f"```text\n{printed(*words, '--help').rstrip()}\n```", page, "scripts/commands_page writes the page")


if __name__ == "__main__":
    unittest.main()
