"""What others install from: the release's tarball, and the recipes of packaging/."""
import ast
import hashlib
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from program import SOURCE

PACKAGING = SOURCE / "packaging"
RECIPE = PACKAGING / "spack" / "spack_repo" / "eidolon" / "packages" / "eidolon" / "package.py"


def is_clone():
    return subprocess.run(["git", "-C", SOURCE, "rev-parse", "--git-dir"], capture_output=True).returncode == 0


class Versions(unittest.TestCase):
    def test_they_agree(self):
        said = subprocess.run([SOURCE / "scripts" / "release", "--check"], capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stderr)


@unittest.skipUnless(is_clone(), "no clone")
class Release(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="eidolon-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.clone = self.folder / "clone"
        listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (SOURCE / name).exists():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(SOURCE / name, self.clone / name, follow_symlinks=False)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=as it is")

    def git(self, *words):
        subprocess.run(["git", "-C", self.clone, "-c", "user.name=test", "-c", "user.email=test@localhost", *words], check=True)

    def release(self, out):
        return subprocess.run([self.clone / "scripts" / "release", out], capture_output=True, text=True)

    def test_the_same_commit_gives_the_same_bytes(self):
        files = []
        for out in (self.folder / "a", self.folder / "b"):
            said = self.release(out)
            self.assertEqual(said.returncode, 0, said.stderr)
            tarball, = out.glob("*.tar.gz")
            digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
            self.assertEqual((out / f"{tarball.name}.sha256").read_text().split(), [digest, tarball.name])
            files.append(digest)
        self.assertEqual(*files)
        with tarfile.open(tarball) as archive:
            names = archive.getnames()
        top = tarball.name.removesuffix(".tar.gz")
        self.assertEqual({name.partition("/")[0] for name in names}, {top})
        for name in ("CMakeLists.txt", "README.md", "LICENSE", "scripts/setup", "src/main.cpp", "jobs/demo/teacher/model.safetensors"):
            self.assertIn(f"{top}/{name}", names)

    def test_a_clone_with_changes_is_refused(self):
        (self.clone / "more").touch()
        said = self.release(self.folder / "out")
        self.assertEqual(said.returncode, 1)
        self.assertIn("the clone has changes", said.stderr)
        self.assertFalse((self.folder / "out").exists())

    def test_a_version_that_disagrees_is_refused_by_its_file(self):
        for name, old, new in (("CITATION.cff", r"(?m)^version: .*", "version: 9.9.9"), ("CHANGELOG.md", r"## \[[\d.]+\] ", "## [9.9.9] "),
                               (str(RECIPE.relative_to(SOURCE)), r'version\("[\d.]+"\)', 'version("9.9.9")')):
            path = self.clone / name
            before = path.read_text()
            path.write_text(re.sub(old, new, before, count=1))
            said = self.release("--check")
            path.write_text(before)
            self.assertEqual(said.returncode, 1, name)
            self.assertIn("9.9.9", said.stderr)


class Recipes(unittest.TestCase):
    def test_spacks_recipe_sets_options_that_the_build_has(self):
        calls = [node for node in ast.walk(ast.parse(RECIPE.read_text())) if isinstance(node, ast.Call)]
        first = lambda call: call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""
        build = "".join(path.read_text() for path in [SOURCE / "CMakeLists.txt", *(SOURCE / "cmake").glob("*.cmake")])
        options = {first(call) for call in calls if getattr(call.func, "attr", "").startswith("define")}
        self.assertIn("EIDOLON_TORCH_ROOT", options)
        for option in options:
            self.assertRegex(build, rf"(option|set)\({option} ")
        wanted = re.search(r"torch==([\d.]+)", (SOURCE / "scripts" / "requirements.txt").read_text())[1]
        specs = [first(call) for call in calls if getattr(call.func, "id", "") == "depends_on"]
        self.assertTrue(any(spec.startswith(f"py-torch@{wanted} ") for spec in specs), specs)
        self.assertTrue(any("hdf5" in spec and "~mpi" in spec for spec in specs))

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_apptainers_scripts_are_sound_and_name_scripts_that_are_there(self):
        definition = (PACKAGING / "apptainer" / "eidolon.def").read_text()
        scripts = re.findall(r"^%(?:post|test|runscript|environment)\n((?:    .*\n|\n)+)", definition, re.M)
        self.assertEqual(len(scripts), 5)
        for script in scripts:
            found = subprocess.run(["shellcheck", "-s", "sh", "-"], input=script, capture_output=True, text=True)
            self.assertEqual(found.stdout, "")
        for name in re.findall(r"scripts/\w+", definition):
            self.assertTrue((SOURCE / name).exists(), name)


if __name__ == "__main__":
    unittest.main()
