// Appends to a ledger so that what is in it can be believed after a crash.
#pragma once

#include "ckpt/base/file.h"
#include "repro/ledger/line.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace reprise::ledger {

// What reopen() had to take off the end of a ledger.
struct Repair {
  std::uint64_t torn_bytes = 0;     // of a last line that a crash cut short
  std::uint64_t lines_removed = 0;  // whole lines behind the checkpoint's update
};

// One writer per ledger; not shared between threads. Each append is one write()
// to the operating system and returns when the kernel has it: a killed process
// loses nothing, a power cut may cost lines since the last sync(), which train
// calls before a checkpoint that refers to the chain is published.
class Writer {
 public:
  // Starts a ledger with its header line. Errors: kIo when it exists.
  static Writer create(const std::filesystem::path& path);

  // Goes on after `update`, whose chain was `chain`: checks the chain up to there
  // (cost: one read of the file), repairs a torn last line, removes lines of later updates, and is
  // ready to append. Errors: kCorrupt naming the line where the chain breaks;
  // kMismatch when the ledger has no such update or another chain there.
  static Writer reopen(const std::filesystem::path& path, std::uint64_t update,
                       const Digest& chain);

  // Errors: kIo. After one the update does not count: stop.
  void append(const UpdateLine& line);
  void append(const TensorsLine& line);
  void sync();

  std::uint64_t last_update() const { return last_update_; }
  const Digest& chain() const { return chain_; }
  const Repair& repair() const { return repair_; }

 private:
  Writer(File file, std::uint64_t size, std::uint64_t last_update, const Digest& chain)
      : file_(std::move(file)), size_(size), last_update_(last_update), chain_(chain) {}
  void append_text(std::string line);

  File file_;
  std::uint64_t size_;
  std::uint64_t last_update_;
  Digest chain_;
  Repair repair_;
};

}  // namespace reprise::ledger
