// Runs a fuzz target without libFuzzer, for builds of any compiler: the seeds and simple changes of them, the same in each run.
//   TARGET_test SEEDS INPUTS
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Random = std::mt19937_64;

std::vector<std::string> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<std::string> seeds{std::string()};
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return seeds;
}

std::size_t below(Random& random, std::size_t end) {
  return end == 0 ? 0 : random() % end;
}

void change(std::string& text, const std::vector<std::string>& seeds, Random& random) {
  const std::size_t at = below(random, text.size() + 1),
                    length = below(random, std::min<std::size_t>(text.size() - at, 32) + 1);
  const std::string& other = seeds[below(random, seeds.size())];
  const std::size_t from = below(random, other.size() + 1);
  switch (below(random, 7)) {
    case 0:
      text.erase(at, length);
      break;
    case 1:
      text.insert(at, text.substr(at, length));
      break;
    case 2:
      text.replace(at, length, other.substr(from, below(random, 64)));
      break;
    case 3:
      text.insert(at, 1, static_cast<char>(random()));
      break;
    case 4:
      text.insert(at, 1, R"("{}[]:,.=\0123456789-e)"[below(random, 22)]);
      break;
    default:
      if (at < text.size()) text[at] = static_cast<char>(below(random, 2) == 0 ? random() : text[at] ^ (1 << below(random, 8)));
  }
}

void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const std::vector<std::string> seeds = read_seeds(argv[1]);
  const int64_t inputs = std::strtoll(argv[2], nullptr, 10);
  Random random(7);
  for (const std::string& seed : seeds) run(seed);
  for (int64_t i = 0; i < inputs; ++i) {
    std::string text = seeds[below(random, seeds.size())];
    if (text.empty()) {
      text.resize(below(random, 256));
      std::ranges::generate(text, [&] { return static_cast<char>(random()); });
    }
    for (std::size_t changes = 1 + below(random, 5); changes > 0; --changes) change(text, seeds, random);
    run(text);
  }
  std::printf("%lld inputs, %zu seeds\n", static_cast<long long>(inputs), seeds.size() - 1);
  return 0;
}
