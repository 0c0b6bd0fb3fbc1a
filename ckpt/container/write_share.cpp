#include "ckpt/container/crew.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/container/crew_letters.h"
#include "ckpt/container/tensor_work.h"

#include <fcntl.h>

#include <cerrno>

namespace reprise::container {

namespace {

constexpr std::chrono::seconds kSignOfLife{1};

// Tells the leader now and then that this process is still writing. Any thread.
class Pulse {
 public:
  Pulse(CrewLink& leader, std::chrono::milliseconds patience)
      : leader_(leader), patience_(patience) {}

  void beat() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || std::chrono::steady_clock::now() - last_ < kSignOfLife) return;
    last_ = std::chrono::steady_clock::now();
    leader_.send(encode_word(CrewWord::kHere), patience_);
  }

 private:
  CrewLink& leader_;
  std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Writes the share and returns the letter with its digests.
std::vector<std::byte> write_tensors(const Document& document, const CrewWork& work,
                                     CrewLink::Letter& letter, unsigned jobs) {
  Crew& crew = *work.crew;
  const CrewBegin begin = decode_begin(letter.bytes);
  if (!letter.file) fail(Code::kInternal, "no file came with the work");
  if (begin.occasion != work.occasion) {
    fail(Code::kMismatch, "it has state {} in hand, and the file is of state {}", work.occasion,
         begin.occasion);
  }
  const std::vector<NamedTensor> tensors = name_tensors(document);
  Layout layout = lay_out(tensors);
  if (layout_digest(tensors, layout) != begin.layout) {
    fail(Code::kMismatch,
         "its {} tensors have other names, types, shapes or ties than those of the file",
         tensors.size());
  }
  for (Extent& extent : layout.extents) extent.offset_bytes += begin.data_offset;

  Pulse pulse(crew.leader(), crew.patience());
  const int descriptor = ::fcntl(letter.file->descriptor(), F_DUPFD_CLOEXEC, 0);
  if (descriptor == -1) fail_errno(errno, begin.target);
  const File file(descriptor, begin.target);  // for messages under its own name
  DirectWriter writer(file, begin.target, begin.file_bytes, begin.direct != 0);
  const std::vector<unsigned> writer_of = share_groups(layout, crew.size());
  const auto pieces = list_work(layout, writer_of, crew.number(), writer);
  parallel_for(pieces.size(), disk_threads(jobs), [&](std::size_t i) {
    // The leader writes nothing while all is well.
    if (crew.leader().has_news()) fail(Code::kIo, "the first process gave up this file");
    pieces[i]();
    pulse.beat();
  });
  return encode_digests(layout, crew.number(), crew.size());
}

}  // namespace

bool write_share(const Document& document, const CrewWork& work, unsigned jobs) {
  Crew& crew = *work.crew;
  if (crew.number() == 0) fail(Code::kInternal, "the first process of a crew has no share apart");
  if (!crew.whole()) return false;
  try {
    // The leader may have the file before in hand for as long as its disk takes. Its end is
    // noticed.
    CrewLink::Letter letter = crew.leader().receive(std::chrono::milliseconds::max());
    if (word_of(letter.bytes) != CrewWord::kBegin) return false;
    std::vector<std::byte> answer;
    try {
      answer = write_tensors(document, work, letter, jobs);
    } catch (const std::exception& error) {
      answer = encode_failure(code_of(error), error.what());
    }
    crew.leader().send(answer, crew.patience());
    return word_of(answer) == CrewWord::kDone;
  } catch (const Error&) {
    // The first process is gone, and with it the file, or it sees now that this one is.
    crew.leave();
    return false;
  }
}

}  // namespace reprise::container
