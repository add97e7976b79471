"""Eidolon from a clone (packaging/spack/spack.yaml), on CPUs: LibTorch with CUDA is looked for as the PyPI wheel has it."""

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Eidolon(CMakePackage):
    """Quantizes pretrained vision models without a single real image, on any number of MPI ranks."""

    license("MIT")
    version("0.2.0")

    variant("tests", default=False, description="Build the tests, which scripts/test would run")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("py-torch@2.11.0 ~cuda ~rocm")
    depends_on("python")
    depends_on("mpi")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("openssl")
    depends_on("spdlog@1.10:")
    depends_on("nlohmann-json@3.11:")
    depends_on("libpng")
    depends_on("libjpeg-turbo")
    depends_on("cli11@2.3:2", type="build")
    depends_on("tomlplusplus@3.3:", type="build")
    depends_on("protozero@1.7:", type="build")
    depends_on("googletest", type="build", when="+tests")

    generator("ninja")

    def cmake_args(self):
        torch = join_path(self.spec["py-torch"].prefix, self.spec["python"].package.platlib, "torch")
        return [
            self.define("EIDOLON_TORCH_ROOT", torch),
            self.define_from_variant("EIDOLON_BUILD_TESTS", "tests"),
            self.define("EIDOLON_BUILD_BENCHMARKS", False),
        ]

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_install(self):
        Executable(self.prefix.bin.eidolon)("--version")
