// Any bytes behind a seal that fits them. Most of what this target finds lies in libhdf5 itself: docs/lab/fuzzing.md.
#include "storage/image_shard.h"
#include "tests/fuzz/forged_archive.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::filesystem::path file = fuzz::scratch() / "images-00000000-00000001.h5";
  const std::string bytes = fuzz::sealed(fuzz::bytes_of(data, size));
  fuzz::put(file, bytes);
  fuzz::reads(bytes.size(), [&] { read_shard(file); });
  return 0;
}
