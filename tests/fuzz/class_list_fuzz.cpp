// A list of class names, compared with those of a model.
#include "evaluation/image_folder.h"
#include "tests/fuzz/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon;
  constexpr int64_t classes = 1000;
  const std::filesystem::path file = fuzz::scratch() / "classes.txt";
  fuzz::put(file, fuzz::bytes_of(data, size));
  std::vector<std::string> names;
  if (!fuzz::reads(size, [&] { names = read_class_list(file, classes); })) return 0;
  if (static_cast<int64_t>(names.size()) > classes) __builtin_trap();
  fuzz::reads(size, [&] { contradiction_of(names, {"tench, Tinca tinca", "goldfish", "great_white shark"}); });
  return 0;
}
