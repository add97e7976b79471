// config.json, preprocessor_config.json, processor_config.json and description.json, with a zero byte between them.
#include "tests/fuzz/config_reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  std::string_view left = fuzz::bytes_of(data, size);
  for (const char* name : {"config.json", "preprocessor_config.json", "processor_config.json", "description.json"}) {
    const std::string_view text = left.substr(0, left.find('\0'));
    left.remove_prefix(std::min(left.size(), text.size() + 1));
    std::filesystem::remove(fuzz::scratch() / name);
    if (!text.empty()) fuzz::put(fuzz::scratch() / name, text);
  }
  return fuzz::read_config(size);
}
