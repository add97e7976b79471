// Work done by rank 0 alone, with its errors thrown on all ranks.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "base/error.h"
#include "cluster/communicator.h"

namespace eidolon {

/// Thrown on the other ranks for an error that rank 0 throws and reports. They exit with its code and print nothing.
struct ErrorOnRoot : Error {
  using Error::Error;
};

/// Collective. Runs `work` on rank 0 and returns its text on all ranks. If it throws, rank 0 rethrows the error and the
/// others throw ErrorOnRoot with the same code, so that no rank waits for one that has left.
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

/// The same for work without a text. Collective.
inline void on_root(const Communicator& communicator, const std::function<void()>& work) {
  from_root(communicator, [&] {
    work();
    return std::string();
  });
}

/// For an error that all ranks detect. Rank 0 throws it and so reports it once; the others throw ErrorOnRoot.
[[noreturn]] inline void throw_once(const Communicator& communicator, const Error& error) {
  if (communicator.rank() == 0) throw error;
  throw ErrorOnRoot(error.code(), error.what());
}

}  // namespace eidolon
