// SHA-256 (OpenSSL's libcrypto).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace eidolon {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  std::string hex();  ///< 64 lower-case digits; call it once, as the last function

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
/// The hash of the bytes of a file from `offset` on. Throws Fault with the path.
std::string sha256_of_file(const std::filesystem::path& path, std::size_t offset = 0);

}  // namespace eidolon
