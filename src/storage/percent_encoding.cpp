#include "storage/percent_encoding.h"

#include <charconv>

namespace eidolon {

std::string percent_encoded(std::string_view bytes, std::string_view others) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char byte : bytes) {
    const bool plain = byte >= ' ' && byte <= '~' && byte != '%' && others.find(byte) == others.npos;
    const auto value = static_cast<unsigned char>(byte);
    text += plain ? std::string(1, byte) : std::string{'%', digits[value / 16], digits[value % 16]};
  }
  return text;
}

std::string percent_decoded(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    const bool encoded =
        text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    bytes += encoded ? static_cast<char>(value) : text[i];
    if (encoded) i += 2;
  }
  return bytes;
}

}  // namespace eidolon
