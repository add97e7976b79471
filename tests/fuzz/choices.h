// The bytes of an input, read as choices: for targets that make a file whose parts lie, one by one. After the last byte every
// choice is 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace eidolon::fuzz {

class Choices {
 public:
  explicit Choices(std::string_view bytes) : left_(bytes) {}

  uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }

  uint64_t below(uint64_t end) {  ///< of at most 256 values
    return byte() % end;
  }

  uint64_t number() {  ///< any
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }

  std::string text() {                  ///< of up to 255 bytes
    const std::size_t wanted = byte();  // before what is left is measured
    const std::size_t length = std::min(wanted, left_.size());
    const std::string value(left_.substr(0, length));
    left_.remove_prefix(length);
    return value;
  }

  std::string rest() {
    const std::string value(left_);
    left_ = {};
    return value;
  }

 private:
  std::string_view left_;
};

}  // namespace eidolon::fuzz
