#include "ckpt/container/crew.h"

#include "ckpt/base/error.h"
#include "ckpt/container/crew_letters.h"

#include <poll.h>

#include <cerrno>
#include <utility>

namespace reprise::container {

namespace {

// How long a process that is told to stop may take to take the letter; it is told once.
constexpr std::chrono::milliseconds kFarewell{100};

}  // namespace

Crew::Crew(std::vector<CrewLink> members, std::chrono::milliseconds patience)
    : number_(0),
      size_(static_cast<unsigned>(members.size()) + 1),
      patience_(patience),
      links_(std::move(members)) {}

Crew::Crew(unsigned number, unsigned size, CrewLink leader, std::chrono::milliseconds patience)
    : number_(number), size_(size), patience_(patience) {
  links_.push_back(std::move(leader));
}

void Crew::leave() {
  whole_ = false;
  links_.clear();
}

CrewFile::CrewFile(const CrewWork& work, std::filesystem::path target)
    : crew_(*work.crew),
      occasion_(work.occasion),
      target_(std::move(target)),
      digests_(crew_.links_.size()) {
  if (crew_.number_ != 0) fail(Code::kInternal, "a file of a crew is made by its first process");
  if (!crew_.whole_) fail(Code::kInternal, "a crew that lost somebody writes nothing more");
}

CrewFile::~CrewFile() {
  if (finished_) return;
  // A file that was not begun leaves everybody in step; the others look for a letter as they write.
  if (begun_) crew_.whole_ = false;
  for (CrewLink& link : crew_.links_) {
    try {
      link.send(encode_word(CrewWord::kStop), kFarewell);
    } catch (const std::exception&) {
      crew_.whole_ = false;
    }
  }
}

void CrewFile::refuse(std::size_t index, const std::exception& error) const {
  const std::string& name = crew_.links_[index].name();
  const std::string_view text = error.what();
  // What a link says begins with the name already.
  const std::string reason =
      text.starts_with(name) ? std::string(text) : fmt::format("{}: {}", name, text);
  throw Error(code_of(error),
              fmt::format("{}: the processes that write it together lost one: {}; nothing was "
                          "published, and what was saved before is as it was",
                          target_.string(), reason));
}

void CrewFile::begin(const File& file, std::uint64_t data_offset, std::uint64_t file_bytes,
                     bool direct, const Digest& layout) {
  const std::vector<std::byte> letter = encode_begin({.occasion = occasion_,
                                                      .data_offset = data_offset,
                                                      .file_bytes = file_bytes,
                                                      .direct = direct ? 1U : 0U,
                                                      .layout = layout,
                                                      .target = target_.string()});
  begun_ = true;
  for (std::size_t i = 0; i < crew_.links_.size(); ++i) {
    try {
      crew_.links_[i].send(letter, crew_.patience_, file.descriptor());
    } catch (const std::exception& error) {
      refuse(i, error);
    }
  }
}

void CrewFile::take_letter(std::size_t index) {
  try {
    CrewLink::Letter letter = crew_.links_[index].receive(crew_.patience_);
    switch (word_of(letter.bytes)) {
      case CrewWord::kHere: return;
      case CrewWord::kDone: digests_[index] = std::move(letter.bytes); return;
      case CrewWord::kFailed: throw decode_failure(letter.bytes);
      default: fail(Code::kInternal, "a letter out of turn");
    }
  } catch (const std::exception& error) {
    refuse(index, error);
  }
}

void CrewFile::check() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    while (!digests_[i] && crew_.links_[i].has_news()) take_letter(i);
  }
}

void CrewFile::finish(Layout& layout) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    // Whoever is waited for, another one may fail first.
    while (!digests_[i]) {
      std::vector<pollfd> waited;
      std::vector<std::size_t> whose;
      for (std::size_t k = i; k < digests_.size(); ++k) {
        if (digests_[k]) continue;
        waited.push_back({crew_.links_[k].descriptor(), POLLIN, 0});
        whose.push_back(k);
      }
      const int ready =
          ::poll(waited.data(), waited.size(), static_cast<int>(crew_.patience_.count()));
      if (ready == -1 && errno != EINTR) fail_errno(errno, target_.string());
      if (ready == 0) {
        const std::string& name = crew_.links_[i].name();
        refuse(i, Error(Code::kIo, fmt::format("{} was silent for {} s", name,
                                               crew_.patience_.count() / 1000)));
      }
      for (std::size_t k = 0; ready > 0 && k < waited.size(); ++k) {
        if (waited[k].revents != 0) take_letter(whose[k]);
      }
    }
  }
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    try {
      decode_digests(*digests_[i], layout, static_cast<unsigned>(i) + 1, crew_.size_);
    } catch (const std::exception& error) {
      refuse(i, error);
    }
  }
  finished_ = true;
}

}  // namespace reprise::container
