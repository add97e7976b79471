// A job file.
#include "job/reader.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::filesystem::path file = fuzz::scratch() / "job.toml";
  fuzz::put(file, fuzz::bytes_of(data, size));
  std::string text;
  if (!fuzz::reads(size, [&] { text = to_toml(read_job(file, {})); })) return 0;
  // What was read can be written, and is then the same.
  fuzz::put(file, text);
  if (to_toml(read_job(file, {})) != text || to_toml(read_resolved_text(text, read_job(file, {}))) != text) __builtin_trap();
  return 0;
}
