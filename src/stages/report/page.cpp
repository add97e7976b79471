#include "stages/report/page.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

constexpr int packages_missing = 69;  ///< EX_UNAVAILABLE, as render.py ends without its packages

/// share/eidolon/report of the first folder above the program that has it: the source's root, or the installation's.
fs::path renderer() {
  std::error_code unknown;
  for (fs::path folder = fs::read_symlink("/proc/self/exe", unknown).parent_path(); folder.has_relative_path();
       folder = folder.parent_path()) {
    const fs::path script = folder / "share" / "eidolon" / "report" / "render.py";
    if (fs::is_regular_file(script, unknown)) return script;
  }
  throw Fault("share/eidolon/report/render.py is not beside the program; install it with `cmake --install`");
}

/// What EIDOLON_REPORT_PYTHON names, an environment beside the renderer, or the system's.
std::string python(const fs::path& folder) {
  const char* const given = std::getenv("EIDOLON_REPORT_PYTHON");
  if (given != nullptr && *given != '\0') return given;
  std::error_code absent;
  const fs::path own = folder / "venv" / "bin" / "python";
  return fs::exists(own, absent) ? own.string() : "python3";
}

/// The exit status of the words, found in PATH; -1 if there is no such program.
int status_of_call(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));  // posix_spawn(3) changes none
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;  // the child takes signals again, which the program leaves to a thread of its own
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], nullptr, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (error == ENOENT || error == EACCES) return -1;
  if (error != 0) throw Fault("cannot start " + words[0] + ": " + std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw Fault("cannot wait for " + words[0] + ": " + std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string write_page(const fs::path& report, const fs::path& page) {
  const fs::path script = renderer();
  const std::string folder = script.parent_path().string(), program = python(script.parent_path());
  const int status = status_of_call({program, script.string(), report.string(), page.string()});
  if (status == 0) return {};
  if (status == -1 || status == packages_missing) {
    return page.filename().string() + " is not written: " + program + " lacks jinja2 or matplotlib; run `python3 -m venv " +
           folder + "/venv && " + folder + "/venv/bin/pip install -r " + folder +
           "/requirements.txt`, or name a Python that has them in EIDOLON_REPORT_PYTHON, and run the same command again";
  }
  throw Fault(program + " " + script.string() + " ended with status " + std::to_string(status) + "; " + report.string() +
              " is written, and the lines above say what is wrong");
}

}  // namespace eidolon
