// Checks by independent readers: Python scripts beside the tests, run by the interpreter that EIDOLON_PYTHON names.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/places.h"

namespace eidolon::testing {

/// Output (both streams) and exit status of a shell command.
inline std::pair<std::string, int> run_command(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (pipe == nullptr) return {"popen failed", -1};
  std::string output;
  char block[4096];
  while (const std::size_t count = fread(block, 1, sizeof block, pipe)) output.append(block, count);
  return {output, pclose(pipe)};
}

inline std::pair<std::string, int> run_python(const std::string& script, const std::vector<std::filesystem::path>& arguments) {
  std::string command = std::getenv("EIDOLON_PYTHON");
  command.append(" ").append(source_folder() / "tests" / "storage" / script);
  for (const std::filesystem::path& argument : arguments) command.append(" ").append(argument);
  return run_command(command);
}

}  // namespace eidolon::testing

#define SKIP_WITHOUT_PYTHON()                                                                         \
  if (std::getenv("EIDOLON_PYTHON") == nullptr) {                                                     \
    GTEST_SKIP() << "EIDOLON_PYTHON names no Python with h5py and safetensors; scripts/test sets it"; \
  }
