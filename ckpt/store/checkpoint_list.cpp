#include "ckpt/store/checkpoint_list.h"

#include "ckpt/base/error.h"
#include "ckpt/base/parallel.h"
#include "ckpt/store/checkpoint_name.h"
#include "ckpt/store/load.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace reprise::store {
namespace fs = std::filesystem;

namespace {

bool has_known_suffix(const fs::path& path) {
  const std::string suffix = path.extension().string();
  return suffix == ".h5" || suffix == ".pth" || suffix == ".pt" || suffix == ".safetensors" ||
         suffix == ".ckpt";
}

void add_size_and_time(CheckpointEntry& entry, const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) == -1) return;  // removed since it was listed
  entry.bytes += static_cast<std::uint64_t>(status.st_size);
  entry.modified_ns = std::max<std::int64_t>(
      entry.modified_ns,
      std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec);
}

// What only the file itself says.
void read_entry(CheckpointEntry& entry) {
  try {
    const Checkpoint checkpoint = load(entry.path.native(), {.verify = false});
    entry.type = to_string(checkpoint.type);
    entry.epoch = checkpoint.epoch;
    entry.uuid = checkpoint.uuid;
    entry.uuid_backbone = checkpoint.uuid_backbone;
    if (checkpoint.progress) entry.update = checkpoint.progress->update;
  } catch (const Error& error) {
    entry.problem = error.what();
  }
}

}  // namespace

std::vector<CheckpointEntry> list_checkpoints(const fs::path& folder) {
  std::set<fs::path> files;
  std::error_code failure;
  fs::directory_iterator iterator(folder, failure);
  if (failure) fail_errno_reading(failure.value(), folder.native());
  for (const auto& item : iterator) {
    if (has_known_suffix(item.path()) && item.is_regular_file(failure)) files.insert(item.path());
  }

  std::vector<CheckpointEntry> entries;
  std::vector<char> unread;
  for (const fs::path& file : files) {
    const fs::path native = fs::path(file).replace_extension(".h5");
    if (file.extension() != ".h5" && files.contains(native)) continue;  // a twin: added below
    CheckpointEntry entry;
    entry.path = file;
    add_size_and_time(entry, file);
    const fs::path twin = fs::path(file).replace_extension(".pth");
    if (file.extension() == ".h5" && files.contains(twin)) {
      entry.twin = twin;
      add_size_and_time(entry, twin);
    }
    const auto name = parse_checkpoint_name(file.filename().native());
    if (name) {
      entry.type = name->type;
      entry.uuid_backbone = name->uuid_backbone;
      entry.epoch = name->epoch.value_or(0);
      entry.uuid = name->uuid.value_or(Uuid());
      entry.rolling = !name->uuid.has_value();
    }
    unread.push_back(!name || !name->uuid ? 1 : 0);
    entries.push_back(std::move(entry));
  }

  const auto read_where = [&](auto wanted) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (wanted(i)) chosen.push_back(i);
    }
    parallel_for(chosen.size(), 0, [&](std::size_t i) { read_entry(entries[chosen[i]]); });
  };
  read_where([&](std::size_t i) { return unread[i] == 1; });
  // Saves of one epoch are told apart by their update, which the name does not say.
  std::map<std::uint64_t, std::size_t> saves_of_epoch;
  for (const CheckpointEntry& entry : entries) ++saves_of_epoch[entry.epoch];
  read_where([&](std::size_t i) { return unread[i] == 0 && saves_of_epoch[entries[i].epoch] > 1; });

  std::ranges::stable_sort(entries, [](const CheckpointEntry& a, const CheckpointEntry& b) {
    return std::tuple(a.epoch, a.update, !a.rolling, a.path) <
           std::tuple(b.epoch, b.update, !b.rolling, b.path);
  });
  return entries;
}

}  // namespace reprise::store
