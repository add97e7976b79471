#include "job/job_path.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "job/nearest.h"

namespace eidolon {
namespace {

std::string variable(const std::string& name) {
  const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    throw BadInput("the environment variable '" + printable(name) + "' is not set; set it or write the path out");
  }
  return value;
}

std::string with_variables(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    if (text.starts_with("$${")) {
      result += "${";
      text.remove_prefix(3);
    } else if (text.starts_with("${")) {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos) {
        throw BadInput("'${' has no closing '}' in '" + printable(text) +
                       "'; close it, or write $${ for the characters themselves");
      }
      result += variable(std::string(text.substr(2, end - 2)));
      text.remove_prefix(end + 1);
    } else {
      result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

}  // namespace

std::filesystem::path job_path(std::string_view text, const std::filesystem::path& base) {
  if (text.empty()) {
    return {};
  }
  const std::filesystem::path path = (base / with_variables(text)).lexically_normal();
  if (!is_utf8(path.string()) || path.string().find('\0') != std::string::npos) {
    throw BadInput("the path '" + printable(path.string()) + "' is not UTF-8 text; rename the folder");
  }
  return path;
}

std::string text_of(const std::filesystem::path& path) {
  std::string text;
  std::string_view rest = path.native();
  for (std::size_t at = rest.find("${"); at != std::string_view::npos; at = rest.find("${")) {
    text.append(rest.substr(0, at)).append("$${");
    rest.remove_prefix(at + 2);
  }
  return text.append(rest);
}

}  // namespace eidolon
