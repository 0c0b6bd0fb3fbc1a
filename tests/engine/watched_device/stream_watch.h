// Finds accesses to a device's memory that no event orders: what would be a race on a GPU.
#pragma once

#include <c10/core/Stream.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace reprise::engine {

// How far the streams have come, as somebody knows it: a vector clock (Fidge, Mattern 1988).
using Clock = std::map<std::pair<c10::DeviceIndex, c10::StreamId>, std::uint64_t>;

// Work may be done at once here; what counts is whether it would be in order on a device that does
// it whenever it likes. Safe from all threads.
class StreamWatch {
 public:
  // Work that the calling thread gives to `stream` touches these bytes of a block of memory.
  void access(c10::Stream stream, const void* block, const std::byte* first, std::size_t size,
              bool write, const std::string& what);
  // A copy from host memory that the stream does some time: the bytes must not change before
  // somebody waits for it.
  void copy_later(c10::Stream stream, const std::byte* first, std::size_t size);
  // The host gives such memory back to an allocator that keeps it until it has been copied: nobody
  // can change it any more.
  void keep_for_copies(const std::byte* first, std::size_t size);

  // An event: all that the stream has been given so far.
  Clock record(c10::Stream stream);
  // What the stream is given from now on comes after that.
  void follow(c10::Stream stream, const Clock& event);
  // The calling thread has waited for that, and so does whatever it asks for from now on. `why`: in
  // words.
  void host_waits(const Clock& event, const std::string& why);
  void host_waits(c10::Stream stream, const std::string& why) { host_waits(record(stream), why); }

  // What was found since the last call, in words. What was accessed before is forgotten.
  std::vector<std::string> take_findings();
  // How often the host has waited since the last call, by why it did.
  std::map<std::string, std::uint64_t> take_host_waits();

 private:
  struct Access {
    const std::byte* first;
    const std::byte* last;
    c10::Stream stream;
    std::uint64_t time;
    bool write;
    std::string what;
  };
  struct Copy {
    const std::byte* first;
    std::vector<std::byte> bytes;
    c10::Stream stream;
    std::uint64_t time;
  };

  std::uint64_t tick(c10::Stream stream);
  void find_change(const Copy& copy);

  std::mutex mutex_;
  std::map<std::pair<c10::DeviceIndex, c10::StreamId>, Clock> streams_;
  std::unordered_map<const void*, std::vector<Access>> accesses_;  // by block
  std::vector<Copy> copies_;
  std::vector<std::string> findings_;
  std::map<std::string, std::uint64_t> host_waits_;
};

// The one of this process.
StreamWatch& watch();

}  // namespace reprise::engine
