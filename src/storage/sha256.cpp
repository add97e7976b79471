#include "storage/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "storage/posix_file.h"

namespace eidolon {

namespace {

void require(bool succeeded) {
  if (!succeeded) throw Fault("OpenSSL cannot compute SHA-256; check the installation of libcrypto");
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { require(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

void Sha256::update(std::string_view text) {
  update(std::as_bytes(std::span(text)));
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  require(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
  std::string text;
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

std::string sha256_of_file(const std::filesystem::path& path, std::size_t offset) {
  PosixFile file = PosixFile::open_for_reading(path);
  file.seek(offset);
  Sha256 hash;
  std::vector<std::byte> block(std::size_t{1} << 16);
  while (const std::size_t count = file.read(block)) hash.update(std::span(block).first(count));
  return hash.hex();
}

}  // namespace eidolon
