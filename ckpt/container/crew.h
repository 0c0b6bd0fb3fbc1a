// Processes of one machine that hold the same state and write it into one file together.
//
// The first one leads: it makes the temporary file, says where the tensors begin, writes its share
// and the head, and publishes. The others write their shares into the file that they are handed,
// and send back the digests of what they wrote. Who writes what follows from the layout, which each
// of them works out. The bytes are those that one process would have written.
#pragma once

#include "ckpt/container/crew_link.h"
#include "ckpt/container/tensor_layout.h"
#include "ckpt/state/value.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

namespace reprise::container {

// One process's connections to the rest of its crew. Used by one thread at a time, of which there
// are no two at work on files of one crew.
class Crew {
 public:
  // How long somebody at work may be silent; who writes says between two pieces that it is there,
  // once a second at most. Who waits for the next file waits as long as the leader lives.
  static constexpr std::chrono::minutes kPatience{10};

  // The first process. `members` become numbers 1, 2, ...
  explicit Crew(std::vector<CrewLink> members, std::chrono::milliseconds patience = kPatience);
  // Any other one: `number` of `size`.
  Crew(unsigned number, unsigned size, CrewLink leader,
       std::chrono::milliseconds patience = kPatience);

  unsigned number() const { return number_; }
  unsigned size() const { return size_; }
  std::chrono::milliseconds patience() const { return patience_; }
  // False once a file has failed: somebody is gone or out of step, and nothing is shared any more.
  // Any thread.
  bool whole() const { return whole_; }
  // Of a process that does not lead, while the crew is whole.
  CrewLink& leader() { return links_.front(); }
  // Of a process that does not lead and has lost the leader: its end closes, which the leader sees.
  void leave();

 private:
  friend class CrewFile;
  unsigned number_;
  unsigned size_;
  std::chrono::milliseconds patience_;
  std::vector<CrewLink> links_;  // of the first process: one a member; else the one to it
  std::atomic<bool> whole_ = true;
};

// A crew that has the same file in hand. `occasion`: equal on all for the same state, and another
// one for another state, so that nobody writes of a state that the others do not mean.
struct CrewWork {
  Crew* crew;
  std::uint64_t occasion;
};

// The leader's side of one file. Destroyed before begin(), it sends the others home; destroyed
// between begin() and finish(), it tells them to stop, and the crew is not whole any more.
class CrewFile {
 public:
  // `target` is for messages.
  CrewFile(const CrewWork& work, std::filesystem::path target);
  ~CrewFile();
  CrewFile(const CrewFile&) = delete;
  CrewFile& operator=(const CrewFile&) = delete;

  // Hands out the file, whose tensors begin at `data_offset`. Errors: kIo naming who is gone.
  void begin(const File& file, std::uint64_t data_offset, std::uint64_t file_bytes, bool direct,
             const Digest& layout);
  // Notices what the others have sent so far; any thread. Errors: those of finish().
  void check();
  // Waits for the others, and puts their digests into `layout`.
  // Errors: that of whoever failed, with its name; kIo for one that is gone or silent.
  void finish(Layout& layout);

 private:
  void take_letter(std::size_t index);
  [[noreturn]] void refuse(std::size_t index, const std::exception& error) const;

  Crew& crew_;
  std::uint64_t occasion_;
  std::filesystem::path target_;
  bool begun_ = false;
  bool finished_ = false;
  std::mutex mutex_;
  std::vector<std::optional<std::vector<std::byte>>> digests_;  // by member, once it is done
};

// The side of the others: writes this process's share of the next file of the crew, which is one of
// `document`. Tensors of the other shares are not read. Returns whether it did; a failure is the
// leader's to report, who is told of it, and so is the end of the leader.
// `jobs` as in WriteOptions.
bool write_share(const Document& document, const CrewWork& work, unsigned jobs = 0);

}  // namespace reprise::container
