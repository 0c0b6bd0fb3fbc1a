#include "repro/ledger/writer.h"

#include "ckpt/base/error.h"
#include "repro/ledger/reader.h"

#include <fcntl.h>

#include <cerrno>

namespace reprise::ledger {

Writer Writer::create(const std::filesystem::path& path) {
  File file = File::create_new(path);
  const std::string line = std::string(kHeaderLine) + "\n";
  file.write(0, as_bytes(line));
  return {std::move(file), line.size(), 0, chain_of(kHeaderLine)};
}

Writer Writer::reopen(const std::filesystem::path& path, std::uint64_t update,
                      const Digest& chain) {
  Reader reader = Reader::open(path);
  // The place to cut is behind the last line of `update`: its tensors line, if there is one.
  std::uint64_t cut = reader.offset_bytes();
  bool found = update == 0;
  Digest reached = reader.chain();
  Repair repair;
  while (const auto line = reader.next()) {
    const std::uint64_t number = line->update ? line->update->update : line->tensors->update;
    if (number > update) {
      ++repair.lines_removed;
      continue;
    }
    found = found || number == update;
    cut = reader.offset_bytes();
    reached = reader.chain();
  }
  repair.torn_bytes = reader.torn_bytes();
  if (!found) {
    fail(Code::kMismatch, "{}: has no line for update {}; resume from an earlier checkpoint",
         path.string(), update);
  }
  if (reached != chain) {
    fail(Code::kMismatch,
         "{}: the chain at update {} is {}, the checkpoint was saved with {}; the ledger belongs "
         "to another run "
         "or was edited",
         path.string(), update, reached.hex(), chain.hex());
  }
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor == -1) fail_errno(errno, path.string());
  File file(descriptor, path);
  file.truncate(cut);
  file.sync();
  Writer writer(std::move(file), cut, update, reached);
  writer.repair_ = repair;
  return writer;
}

void Writer::append(const UpdateLine& line) {
  append_text(encode(line, chain_));
  last_update_ = line.update;
}

void Writer::append(const TensorsLine& line) { append_text(encode(line, chain_)); }

void Writer::append_text(std::string line) {
  chain_ = chain_of(line);
  line += '\n';
  file_.write(size_, as_bytes(line));
  size_ += line.size();
}

void Writer::sync() { file_.sync(); }

}  // namespace reprise::ledger
