// Work that only rank 0 does, with a failure that all ranks share.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "cluster/communicator.h"

namespace eidolon {

/// An error that rank 0 has already thrown and will report; other ranks leave quietly with its exit code.
struct ErrorOnRoot : Error {
  using Error::Error;
};

/// Runs `work` on rank 0 and gives its text to all ranks. Collective. If it throws an Error, every rank throws: rank 0 the
/// error itself, the others ErrorOnRoot with the same code, so that nobody waits for a rank that has left.
inline std::string from_root(const Communicator& communicator, const std::function<std::string()>& work) {
  if (communicator.rank() != 0) {
    const std::string reply = communicator.broadcast_text("");
    if (reply[0] == 'E') throw ErrorOnRoot(static_cast<ExitCode>(reply[1]), reply.substr(2));
    return reply.substr(1);
  }
  std::string result;
  try {
    result = work();
  } catch (const Error& error) {
    communicator.broadcast_text(std::string("E") + static_cast<char>(error.code()) + error.what());
    throw;
  } catch (const std::exception& error) {
    communicator.broadcast_text(std::string("E") + static_cast<char>(ExitCode::internal_fault) + error.what());
    throw;
  }
  communicator.broadcast_text("R" + result);
  return result;
}

/// For what every rank finds wrong alike: rank 0 throws the error itself and so reports it once, the others ErrorOnRoot.
[[noreturn]] inline void throw_once(const Communicator& communicator, const Error& error) {
  if (communicator.rank() == 0) throw error;
  throw ErrorOnRoot(error.code(), error.what());
}

}  // namespace eidolon
