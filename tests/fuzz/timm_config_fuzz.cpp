// timm's config.json.
#include "tests/fuzz/config_reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eidolon::fuzz::put(eidolon::fuzz::scratch() / "config.json", eidolon::fuzz::bytes_of(data, size));
  return eidolon::fuzz::read_config(size);
}
