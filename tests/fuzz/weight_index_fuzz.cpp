// model.safetensors.index.json beside one part, "part.safetensors", which holds "a" and "b".
#include "model/loading/weight_files.h"
#include "storage/safetensors.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  static const bool has_part = [] {
    write_safetensors(fuzz::scratch() / "part.safetensors", {{"a", at::ones({2})}, {"b", at::ones({1})}});
    return true;
  }();
  if (!has_part) return -1;
  fuzz::put(fuzz::scratch() / "model.safetensors.index.json", fuzz::bytes_of(data, size));
  fuzz::reads(size, [] { read_weights(fuzz::scratch()); });
  return 0;
}
