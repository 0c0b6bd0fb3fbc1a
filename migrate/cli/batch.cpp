#include "migrate/cli/batch.h"

#include "ckpt/base/bytes.h"
#include "ckpt/base/error.h"
#include "ckpt/base/sha256.h"
#include "ckpt/store/companion.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace reprise::migrate {
namespace fs = std::filesystem;

namespace {

// Names under which people keep checkpoints. Files given by name are taken whatever
// they are called; inside a directory this keeps images and logs out.
constexpr std::array<std::string_view, 10> kSuffixes = {
    ".pth", ".pt", ".ckpt", ".pth.tar", ".tar", ".bin", ".pkl", ".h5", ".hdf5", ".safetensors"};

struct Source {
  fs::path path;
  fs::path relative;  // below the directory it was found in
};

bool is_candidate(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.ends_with(".v5.h5") || name.ends_with(".v5.pth") ||
      name.find(".tmp-") != std::string::npos)
    return false;
  return std::ranges::any_of(kSuffixes,
                             [&](std::string_view suffix) { return name.ends_with(suffix); });
}

void add_directory(const fs::path& directory, bool recursive, std::vector<Source>& sources) {
  // Links to directories are not followed: a loop of them would never end.
  const auto consider = [&](const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && is_candidate(entry.path())) {
      sources.push_back({entry.path(), entry.path().lexically_relative(directory)});
    }
  };
  if (recursive) {
    for (const auto& entry : fs::recursive_directory_iterator(
             directory, fs::directory_options::skip_permission_denied)) {
      consider(entry);
    }
  } else {
    for (const auto& entry : fs::directory_iterator(directory)) consider(entry);
  }
}

std::vector<Source> find_sources(const MigrateOptions& options) {
  std::vector<Source> sources;
  for (const fs::path& input : options.inputs) {
    std::error_code failure;
    const auto status = fs::status(input, failure);
    if (!fs::exists(status)) fail(Code::kNotFound, "{}: no such file or directory", input.native());
    if (fs::is_directory(status)) {
      add_directory(input, options.recursive, sources);
    } else {
      sources.push_back({input, input.filename()});
    }
  }
  std::ranges::sort(sources, {}, &Source::path);
  const auto same_path = [](const Source& a, const Source& b) { return a.path == b.path; };
  sources.erase(std::unique(sources.begin(), sources.end(), same_path), sources.end());
  return sources;
}

// "model.pth.tar" -> "model", "epoch=2-step=200.ckpt" -> "epoch=2-step=200".
std::string stem_of(const fs::path& path) {
  std::string name = path.filename().string();
  for (const std::string_view suffix : {".pth.tar", ".tar"}) {
    if (name.ends_with(suffix) && name.size() > suffix.size())
      return name.substr(0, name.size() - suffix.size());
  }
  return path.stem().string();
}

fs::path target_of(const Source& source, const MigrateOptions& options, bool full_name) {
  const std::string base = full_name ? source.path.filename().string() : stem_of(source.path);
  const std::string name = base + (options.replace ? "." : ".v5.") + options.to;
  return options.output ? (*options.output / source.relative).parent_path() / name
                        : source.path.parent_path() / name;
}

// One slice of a batch, as "i/n" says.
struct Shard {
  std::uint64_t index = 1, count = 1;

  // By the source's name without its suffix, below the directory it was found in: neither what
  // other jobs have put away or into place meanwhile, nor where the tree is mounted, moves a file
  // to another slice. Halves of a pair, and sources of one target, stay together.
  bool takes(const Source& source) const {
    const std::string name = (source.relative.parent_path() / stem_of(source.path)).native();
    const Digest digest = sha256(as_bytes(name));
    return load_little<std::uint64_t>(digest.bytes.data()) % count == index - 1;
  }
};

Shard parse_shard(const std::string& text) {
  Shard shard;
  if (text.empty()) return shard;
  const auto slash = text.find('/');
  const auto read = [](std::string_view digits, std::uint64_t& number) {
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return problem == std::errc() && end == digits.data() + digits.size();
  };
  const std::string_view view = text;
  if (slash == std::string::npos || !read(view.substr(0, slash), shard.index) ||
      !read(view.substr(slash + 1), shard.count) || shard.index < 1 || shard.index > shard.count) {
    fail(Code::kUsage, "--shard {}: i/n was expected, i from 1 to n", printable(text, 40));
  }
  return shard;
}

fs::path resolved(const fs::path& path) {
  std::error_code failure;
  fs::path real = fs::weakly_canonical(path, failure);
  return failure ? fs::absolute(path).lexically_normal() : real;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  return std::ranges::mismatch(path, folder).in2 == folder.end();
}

// The originals must not stay where they are, nor where the next run would take them for sources.
void check_backup(const MigrateOptions& options) {
  const fs::path backup = resolved(*options.backup);
  for (const fs::path& input : options.inputs) {
    std::error_code ignored;
    const bool is_folder = fs::is_directory(input, ignored);
    const fs::path parent = input.has_parent_path() ? input.parent_path() : ".";
    const fs::path folder = resolved(is_folder ? input : parent);
    if (backup == folder || (is_folder && options.recursive && is_below(backup, folder))) {
      fail(Code::kUsage,
           "--backup {}: lies in {}, where the sources are; choose a directory outside",
           options.backup->native(), folder.native());
    }
  }
}

}  // namespace

std::vector<Item> plan_batch(const MigrateOptions& options) {
  if (options.replace && !options.backup) {
    fail(Code::kUsage, "--replace needs --backup DIR, where the originals go");
  }
  if (options.backup && !options.replace)
    fail(Code::kUsage,
         "--backup goes with --replace only: without it, sources stay where they are");
  if (options.replace && options.output)
    fail(Code::kUsage, "--replace and -o contradict each other");
  for (const auto& [option, folder] :
       {std::pair("-o", options.output), {"--backup", options.backup}}) {
    std::error_code ignored;
    if (folder && fs::exists(*folder, ignored) && !fs::is_directory(*folder, ignored))
      fail(Code::kUsage, "{} {}: is no directory", option, folder->native());
  }
  const Shard shard = parse_shard(options.shard);
  const std::vector<Source> sources = find_sources(options);
  if (sources.empty())
    fail(Code::kUsage, "no checkpoint files found{}",
         options.recursive ? "" : "; --recursive looks into subdirectories");
  if (options.backup) check_backup(options);

  // model.pt and model.pth would both become model.v5.h5: then full names are used.
  std::map<fs::path, int> wanted;
  for (const Source& source : sources) ++wanted[target_of(source, options, false)];

  std::vector<Item> items;
  std::map<fs::path, fs::path> taken;
  for (const Source& source : sources) {
    Item item;
    item.source = source.path;
    item.target = target_of(source, options, wanted[target_of(source, options, false)] > 1);
    if (options.backup) item.backup = *options.backup / source.relative;
    const auto [other, is_free] = taken.emplace(item.target, item.source);
    if (!is_free)
      item.problem =
          fmt::format("its result would be {}, as that of {}; give them different directories",
                      item.target.native(), other->second.native());
    if (shard.takes(source)) items.push_back(std::move(item));
  }
  return items;
}

}  // namespace reprise::migrate
