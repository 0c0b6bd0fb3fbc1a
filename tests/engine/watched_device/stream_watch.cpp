#include "tests/engine/watched_device/stream_watch.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace reprise::engine {
namespace {

// What this thread has waited for.
thread_local Clock known_to_thread;

std::pair<c10::DeviceIndex, c10::StreamId> key(c10::Stream stream) {
  return {stream.device_index(), stream.id()};
}

void join(Clock& clock, const Clock& other) {
  for (const auto& [stream, time] : other) {
    std::uint64_t& mine = clock[stream];
    mine = std::max(mine, time);
  }
}

std::uint64_t time_of(const Clock& clock, c10::Stream stream) {
  const auto found = clock.find(key(stream));
  return found == clock.end() ? 0 : found->second;
}

std::string name(c10::Stream stream) {
  return fmt::format("stream {} of device {}", stream.id(), stream.device_index());
}

}  // namespace

// Something new on the stream, after all that its giver knows to be done.
std::uint64_t StreamWatch::tick(c10::Stream stream) {
  Clock& clock = streams_[key(stream)];
  join(clock, known_to_thread);
  return ++clock[key(stream)];
}

void StreamWatch::access(c10::Stream stream, const void* block, const std::byte* first,
                         std::size_t size, bool write, const std::string& what) {
  if (size == 0) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t time = tick(stream);
  const Clock& clock = streams_[key(stream)];
  const std::byte* last = first + size;
  std::vector<Access>& accesses = accesses_[block];
  std::erase_if(accesses, [&](const Access& before) {
    if (before.last <= first || last <= before.first) return false;
    const bool ordered = time_of(clock, before.stream) >= before.time;
    if (!ordered && (write || before.write)) {
      findings_.push_back(fmt::format("{} on {} and {} on {} touch the same {} bytes in no order",
                                      before.what, name(before.stream), what, name(stream),
                                      std::min(last, before.last) - std::max(first, before.first)));
      return true;  // said once
    }
    // Whatever comes after this one comes after that one too.
    return ordered && (write || !before.write) && first <= before.first && before.last <= last;
  });
  accesses.push_back({first, last, stream, time, write, what});
}

void StreamWatch::copy_later(c10::Stream stream, const std::byte* first, std::size_t size) {
  const std::lock_guard lock(mutex_);
  copies_.push_back({first, {first, first + size}, stream, tick(stream)});
}

void StreamWatch::find_change(const Copy& copy) {
  if (std::memcmp(copy.first, copy.bytes.data(), copy.bytes.size()) == 0) return;
  findings_.push_back(fmt::format("{} bytes of the host changed before {} had copied them",
                                  copy.bytes.size(), name(copy.stream)));
}

void StreamWatch::keep_for_copies(const std::byte* first, std::size_t size) {
  const std::lock_guard lock(mutex_);
  std::erase_if(copies_, [&](const Copy& copy) {
    if (copy.first < first || first + size <= copy.first) return false;
    find_change(copy);
    return true;
  });
}

Clock StreamWatch::record(c10::Stream stream) {
  const std::lock_guard lock(mutex_);
  return streams_[key(stream)];
}

void StreamWatch::follow(c10::Stream stream, const Clock& event) {
  const std::lock_guard lock(mutex_);
  join(streams_[key(stream)], event);
}

void StreamWatch::host_waits(const Clock& event, const std::string& why) {
  const std::lock_guard lock(mutex_);
  ++host_waits_[why];
  join(known_to_thread, event);
  std::erase_if(copies_, [&](const Copy& copy) {
    if (time_of(event, copy.stream) < copy.time) return false;
    find_change(copy);
    return true;
  });
}

std::vector<std::string> StreamWatch::take_findings() {
  const std::lock_guard lock(mutex_);
  for (const Copy& copy : copies_) {
    findings_.push_back(fmt::format("nobody waits for {} to copy {} bytes of the host",
                                    name(copy.stream), copy.bytes.size()));
  }
  copies_.clear();
  accesses_.clear();
  return std::exchange(findings_, {});
}

std::map<std::string, std::uint64_t> StreamWatch::take_host_waits() {
  const std::lock_guard lock(mutex_);
  return std::exchange(host_waits_, {});
}

StreamWatch& watch() {
  static auto* const kWatch = new StreamWatch;
  return *kWatch;
}

}  // namespace reprise::engine
