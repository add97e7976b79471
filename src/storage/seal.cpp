#include "storage/seal.h"

#include "base/error.h"
#include "storage/sha256.h"

namespace eidolon {

namespace {

constexpr std::string_view digest_label = "\nsha256 ";
constexpr std::size_t digest_length = 64;
constexpr std::size_t longest_title = 200;

bool is_title(std::string_view title) {
  return !title.empty() && title.size() <= longest_title && title.find_first_of(std::string_view("\n\0", 2)) == title.npos;
}

}  // namespace

std::string make_seal(std::string_view title, std::string_view digest) {
  if (!is_title(title))
    throw Fault("a sealed file's title must be one line of 1 to 200 bytes, not '" + std::string(title) + "'");
  std::string block = std::string(title) + std::string(digest_label) + std::string(digest) + "\n";
  block += "seal " + sha256_hex(block) + "\n";
  block.resize(seal_size, '\0');
  return block;
}

std::optional<std::string> sealed_digest(std::string_view block) {
  if (block.size() != seal_size) return std::nullopt;
  const std::size_t line = block.find(digest_label);
  if (line == block.npos || !is_title(block.substr(0, line))) return std::nullopt;
  const std::string_view digest = block.substr(line + digest_label.size(), digest_length);
  if (block != make_seal(block.substr(0, line), digest)) return std::nullopt;
  return std::string(digest);
}

}  // namespace eidolon
