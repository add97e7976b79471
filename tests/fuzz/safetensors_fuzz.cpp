// A .safetensors file.
#include "storage/safetensors.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  const std::filesystem::path file = fuzz::scratch() / "model.safetensors", copy = fuzz::scratch() / "copy.safetensors";
  fuzz::put(file, fuzz::bytes_of(data, size));
  SafetensorsFile contents;
  if (!fuzz::reads(size, [&] { contents = read_safetensors(file); })) return 0;
  // What was read can be written, and is then the same. Not of every one: a write waits for the disk.
  if (size % 16 != 0) return 0;
  write_safetensors(copy, contents.tensors, contents.metadata);
  if (read_safetensors(copy).content_hash != contents.content_hash) __builtin_trap();
  return 0;
}
