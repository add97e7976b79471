// Sources include the standard headers that they use. The compiler does not check this: every source file is compiled behind
// the precompiled LibTorch headers, which include most of the standard library.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/places.h"

namespace {

namespace fs = std::filesystem;

/// Standard headers and the names of namespace std that need them. Names that several headers declare are left out.
const std::vector<std::pair<std::string, std::string>> names_by_header{
    {"algorithm",
     "all_of any_of binary_search clamp copy copy_n count count_if equal fill find find_if for_each lower_bound max "
     "max_element "
     "min min_element minmax mismatch none_of nth_element reverse rotate shuffle sort stable_sort transform unique "
     "upper_bound"},
    {"array", "array"},
    {"atomic", "atomic"},
    {"charconv", "from_chars to_chars"},
    {"chrono", "chrono"},
    {"cmath",
     "atan atan2 cbrt ceil cos erf exp exp2 floor hypot isfinite isinf isnan ldexp llround log log10 log2 lround pow round sin "
     "sqrt tanh"},
    {"condition_variable", "condition_variable"},
    {"cstdio", "FILE fclose fflush fopen fprintf fputs fwrite printf snprintf"},
    {"cstdlib", "_Exit atoi atoll free getenv strtod strtoll"},
    {"cstring", "memcmp memcpy memmove memset strcmp strerror strlen"},
    {"deque", "deque"},
    {"exception", "current_exception exception exception_ptr uncaught_exceptions"},
    {"filesystem", "filesystem"},
    {"fstream", "ifstream ofstream"},
    {"functional", "function greater less plus"},
    {"limits", "numeric_limits"},
    {"map", "map multimap"},
    {"memory", "make_shared make_unique shared_ptr unique_ptr"},
    {"mutex", "call_once lock_guard mutex once_flag scoped_lock unique_lock"},
    {"numbers", "numbers"},
    {"numeric", "accumulate exclusive_scan gcd inclusive_scan inner_product iota partial_sum reduce"},
    {"optional", "nullopt optional"},
    {"regex", "regex smatch"},
    {"set", "multiset set"},
    {"span", "span"},
    {"sstream", "istringstream ostringstream stringstream"},
    {"string", "getline string to_string"},
    {"string_view", "string_view"},
    {"system_error", "errc error_code"},
    {"thread", "this_thread thread"},
    {"tuple", "make_tuple tie tuple"},
    {"utility", "as_const exchange forward pair swap"},
    {"variant", "holds_alternative variant visit"},
    {"vector", "vector"},
};

const std::map<std::string, std::string> header_of = [] {
  std::map<std::string, std::string> headers;
  for (const auto& [header, names] : names_by_header) {
    std::istringstream words(names);
    for (std::string name; words >> name;) headers[name] = header;
  }
  return headers;
}();

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::set<std::string> standard_includes(const std::string& text) {
  static const std::regex include("#include <([a-z_0-9]+)>");
  std::set<std::string> headers;
  for (std::sregex_iterator match(text.begin(), text.end(), include), end; match != end; ++match) headers.insert(match->str(1));
  return headers;
}

/// The code without comments and texts.
std::string code_of(const std::string& text) {
  static const std::regex comment("//[^\n]*"), literal("\"(?:\\\\.|[^\"\\\\\n])*\"");
  return std::regex_replace(std::regex_replace(text, comment, ""), literal, "\"\"");
}

/// Standard headers that `text` uses and does not include.
std::set<std::string> missing_headers(const std::string& text) {
  static const std::regex use("std::(?:ranges::)?(\\w+)");
  const std::string code = code_of(text);
  const std::set<std::string> included = standard_includes(text);
  std::set<std::string> missing;
  for (std::sregex_iterator match(code.begin(), code.end(), use), end; match != end; ++match) {
    const auto found = header_of.find(match->str(1));
    if (found != header_of.end() && !included.contains(found->second)) missing.insert(found->second);
  }
  return missing;
}

TEST(StandardHeaders, AreIncludedByTheSourceThatUsesThemOrByItsOwnHeader) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(eidolon::testing::source_folder() / "src")) {
    const fs::path& path = entry.path();
    if (path.extension() != ".h" && path.extension() != ".cpp") continue;
    ++files;
    const std::set<std::string> by_own_header = standard_includes(text_of(fs::path(path).replace_extension(".h")));
    for (const std::string& header : missing_headers(text_of(path))) {
      EXPECT_TRUE(by_own_header.contains(header)) << path << " needs #include <" << header << ">";
    }
  }
  EXPECT_GT(files, 100) << "the sources were not found";
}

TEST(StandardHeaders, ThatAreMissingAreFound) {
  const std::string text =
      "#include <vector>\n"
      "// std::function<void()> in a comment, and \"std::optional\" in a text\n"
      "std::vector<double> roots(const std::vector<double>& x) { return std::max({x, std::map<int, int>()}); }\n"
      "const char* name = \"std::deque\"; double root = std::sqrt(2);\n";
  EXPECT_EQ(missing_headers(text), (std::set<std::string>{"algorithm", "cmath", "map"}));
}

}  // namespace
