// Streams and events of the stand-in accelerator.
//
// A stream of the pool is a thread that does its tasks in the order in which they are queued. LibTorch's own stream has no
// thread: an operation is done when its call returns. What that stream is told to wait for, it waits for before its next
// operation, so that, as on a real device, to queue a wait does not block the host.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace eidolon::standin {

/// A place in a stream, reached once.
class Place {
 public:
  void reach();
  bool reached() const;
  void wait() const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool reached_ = false;
};

/// An event: reached with the last of its places.
using Places = std::vector<std::shared_ptr<Place>>;

bool all_reached(const Places& places);

/// A stream of the pool. Its thread lives as long as the process.
class Queue {
 public:
  Queue();
  void push(std::function<void()> task);
  Places here();  ///< reached once all tasks queued so far are done

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
};

/// What getStreamNativeHandle() of a stream of the pool points to.
Queue& queue_of(const c10::Stream& stream);

c10::Stream new_stream(c10::Device device);

Places place_of(const c10::Stream& stream);                      ///< cudaEventRecord
void wait_for(const c10::Stream& stream, const Places& places);  ///< cudaStreamWaitEvent

/// To be called before LibTorch's stream touches memory: waits for what it was told to wait for.
void catch_up();

/// Calls `action` once what LibTorch's stream was told to wait for has been reached: at once if there is nothing.
void after_waits(std::function<void()> action);

}  // namespace eidolon::standin
