// manifest.json of an exported student, as `eidolon inspect` reads it, and behind a zero byte what SHA256SUMS says besides.
#include "stages/inspect_export.h"
#include "storage/sha256.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::string_view all = fuzz::bytes_of(data, size), manifest = all.substr(0, all.find('\0'));
  const std::string_view more = all.substr(std::min(all.size(), manifest.size() + 1));
  const std::filesystem::path folder = fuzz::scratch();
  fuzz::put(folder / "student.safetensors", "tensors");
  fuzz::put(folder / "manifest.json", manifest);
  fuzz::put(folder / "SHA256SUMS",
            sha256_hex(manifest) + "  manifest.json\n" + sha256_hex("tensors") + "  student.safetensors\n" + std::string(more));
  fuzz::reads(size, [&] { about_export(folder); });
  return 0;
}
