#include "tests/device/standin_streams.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace eidolon::standin {
namespace {

/// LibTorch's stream. One for all devices, since a rank uses only its own.
struct OwnStream {
  std::mutex mutex;
  Places waits;
  std::vector<std::function<void()>> afterwards;
  std::atomic<bool> waiting = false;  ///< whether either list has an entry
};

// Both live as long as the process, whose threads may use them until its end.
OwnStream& own_stream() {
  static OwnStream& stream = *new OwnStream;
  return stream;
}

struct Pool {
  std::mutex mutex;
  std::vector<Queue*> queues;
};

Pool& pool() {
  static Pool& all = *new Pool;
  return all;
}

void forget_reached(Places& places) {
  std::erase_if(places, [](const std::shared_ptr<Place>& place) { return place->reached(); });
}

}  // namespace

void Place::reach() {
  {
    const std::lock_guard lock(mutex_);
    reached_ = true;
  }
  changed_.notify_all();
}

bool Place::reached() const {
  const std::lock_guard lock(mutex_);
  return reached_;
}

void Place::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return reached_; });
}

bool all_reached(const Places& places) {
  return std::ranges::all_of(places, [](const std::shared_ptr<Place>& place) { return place->reached(); });
}

Queue::Queue() {
  std::thread([this] { work(); }).detach();
}

void Queue::push(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

Places Queue::here() {
  auto place = std::make_shared<Place>();
  push([place] { place->reach(); });
  return {std::move(place)};
}

void Queue::work() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !tasks_.empty(); });
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

c10::Stream new_stream(c10::Device device) {
  const std::lock_guard lock(pool().mutex);
  pool().queues.push_back(new Queue);
  return c10::Stream(c10::Stream::UNSAFE, device, static_cast<c10::StreamId>(pool().queues.size()));
}

Queue& queue_of(const c10::Stream& stream) {
  TORCH_CHECK(stream.id() != 0, "LibTorch's own stream has no queue");
  const std::lock_guard lock(pool().mutex);
  return *pool().queues.at(static_cast<size_t>(stream.id()) - 1);
}

Places place_of(const c10::Stream& stream) {
  if (stream.id() != 0) return queue_of(stream).here();
  OwnStream& own = own_stream();
  const std::lock_guard lock(own.mutex);
  forget_reached(own.waits);
  return own.waits;
}

void wait_for(const c10::Stream& stream, const Places& places) {
  if (stream.id() != 0) {
    queue_of(stream).push([places] {
      for (const auto& place : places) place->wait();
    });
    return;
  }
  OwnStream& own = own_stream();
  const std::lock_guard lock(own.mutex);
  own.waits.insert(own.waits.end(), places.begin(), places.end());
  own.waiting = true;
}

void catch_up() {
  OwnStream& own = own_stream();
  if (!own.waiting) return;
  Places waits;
  {
    const std::lock_guard lock(own.mutex);
    waits = own.waits;
  }
  for (const auto& place : waits) place->wait();
  std::vector<std::function<void()>> afterwards;
  {
    const std::lock_guard lock(own.mutex);
    forget_reached(own.waits);
    if (!own.waits.empty()) return;  // queued meanwhile by another thread
    afterwards.swap(own.afterwards);
    own.waiting = false;
  }
  for (const auto& action : afterwards) action();
}

void after_waits(std::function<void()> action) {
  OwnStream& own = own_stream();
  if (own.waiting) {
    const std::lock_guard lock(own.mutex);
    if (own.waiting) return own.afterwards.push_back(std::move(action));
  }
  action();
}

}  // namespace eidolon::standin
