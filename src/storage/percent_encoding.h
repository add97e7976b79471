// Bytes that are no text, written as text.
#pragma once

#include <string>
#include <string_view>

namespace eidolon {

/// Every byte that is not printable ASCII, the percent sign and the bytes of `others` as %XX, as in a URL: a host or a path of
/// any bytes becomes a text that JSON, logs and file names hold, and that names the same host or path again.
std::string percent_encoded(std::string_view bytes, std::string_view others = "");

/// The bytes that percent_encoded() was given; a percent sign that no two hexadecimal digits follow stands for itself.
std::string percent_decoded(std::string_view text);

}  // namespace eidolon
