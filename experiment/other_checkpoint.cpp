#include "experiment/other_checkpoint.h"

#include "ckpt/base/error.h"
#include "ckpt/store/find_checkpoint.h"
#include "ckpt/store/reference.h"
#include "ckpt/store/take.h"
#include "engine/models/frozen_backbone.h"
#include "engine/torch_bridge/load_state.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace reprise::experiment {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBackbone = "backbone.";
constexpr std::int64_t kMostOutputs = 1 << 20;  // bounds what a file can make us allocate

// Looks for a checkpoint of one UUID where it was and below folders.
class Search {
 public:
  explicit Search(const Uuid& uuid) : uuid_(uuid) {}

  std::optional<store::LoadedCheckpoint> run(const std::string& hint,
                                             const std::vector<fs::path>& roots) {
    std::error_code failure;
    if (!hint.empty() && fs::is_regular_file(hint, failure)) is_the_one(hint);
    if (!found_)
      store::find_checkpoint(uuid_, roots, [&](const fs::path& path) { return is_the_one(path); });
    return std::move(found_);
  }
  // Of each file by that name that is not it: why.
  const std::vector<Error>& passed_over() const { return passed_over_; }

 private:
  // A damaged file, or another one by that name, is none: the next one may be whole.
  bool is_the_one(const fs::path& path) {
    try {
      store::LoadedCheckpoint loaded = store::open_checkpoint(path.string());
      if (loaded.checkpoint.uuid == uuid_) {
        found_ = std::move(loaded);
        return true;
      }
      pass_over({Code::kMismatch,
                 fmt::format("{} is checkpoint {}", path.string(), loaded.checkpoint.uuid.text())});
    } catch (const Error& error) {
      pass_over(error);
    }
    return false;
  }
  void pass_over(const Error& why) {
    // The search comes by the place where it was, too.
    for (const Error& known : passed_over_) {
      if (std::string_view(known.what()) == why.what()) return;
    }
    passed_over_.push_back(why);
  }

  Uuid uuid_;
  std::optional<store::LoadedCheckpoint> found_;
  std::vector<Error> passed_over_;
};

bool starts_with_any(const StateDict& state, std::string_view prefix) {
  return std::ranges::any_of(state,
                             [&](const auto& item) { return item.first.starts_with(prefix); });
}

std::int64_t size_of(const StateDict& state, std::string_view name, std::size_t dimension,
                     std::int64_t otherwise) {
  const Tensor* tensor = state.find(name);
  if (tensor == nullptr || tensor->shape().size() <= dimension) return otherwise;
  return tensor->shape()[dimension];
}

// What a network has to be built with for these weights. Nonsense in a file gives a network that
// the weights do not fit, or one that cannot be built: both are said.
engine::NetworkOptions options_for(const std::string& arch, const StateDict& state) {
  engine::NetworkOptions options;
  options.arch = arch;
  const bool vit = arch.starts_with("vit");
  const std::string first = vit ? "patch_embed.proj.weight" : "conv1.weight";
  options.channels = size_of(state, first, 1, options.channels);
  options.outputs = size_of(state, vit ? "head.weight" : "fc.weight", 0, 0);
  if (options.channels < 1 || options.channels > 3 || options.outputs > kMostOutputs) {
    fail(Code::kMismatch,
         "takes images of {} channels and has {} outputs: no network of this suite",
         options.channels, options.outputs);
  }
  if (!vit) return options;
  options.patch_size = std::clamp<std::int64_t>(size_of(state, first, 2, 16), 1, 512);
  const std::int64_t places =
      std::clamp<std::int64_t>(size_of(state, "pos_embed", 1, 197), 2, kMostOutputs);
  options.image_size =
      std::llround(std::sqrt(static_cast<double>(places - 1))) * options.patch_size;
  return options;
}

}  // namespace

store::LoadedCheckpoint open_other(const OtherCheckpoint& wanted) {
  const std::optional<Uuid> named = Uuid::parse(wanted.reference);
  if (!named && !wanted.reference.empty()) {
    const fs::path path = store::resolve(wanted.reference, store::DirectoryMeans::kLast);
    store::LoadedCheckpoint loaded = store::open_checkpoint(path.string());
    if (wanted.uuid && loaded.checkpoint.uuid != *wanted.uuid) {
      fail(Code::kMismatch, "{}: is checkpoint {}, the {} was {}; name that one with --{}",
           path.string(), loaded.checkpoint.uuid.text(), wanted.option, wanted.uuid->text(),
           wanted.option);
    }
    return loaded;
  }
  const std::optional<Uuid> uuid = named ? named : wanted.uuid;
  if (!uuid) {
    fail(Code::kMismatch, "does not say which checkpoint its {} is; name it with --{}",
         wanted.option, wanted.option);
  }
  Search search(*uuid);
  if (auto loaded = search.run(wanted.hint, wanted.roots)) return std::move(*loaded);
  std::vector<std::string> looked;
  for (const fs::path& root : wanted.roots) looked.push_back(root.string());
  std::string others;
  for (const Error& other : search.passed_over()) others += fmt::format("\n  {}", other.what());
  fail(others.empty() ? Code::kNotFound : search.passed_over().front().code(),
       "{} {}: no checkpoint with this UUID in {}; name its file with --{}, or the folders to look "
       "in with --search-path{}{}",
       wanted.option, uuid->text(), fmt::join(looked, ", "), wanted.option,
       others.empty() ? "" : "; by its name there are:", others);
}

std::vector<fs::path> roots_of(const std::string& search_path, const fs::path& checkpoint) {
  std::vector<fs::path> roots;
  if (!checkpoint.empty()) roots = store::search_roots(checkpoint);
  if (search_path.empty()) {
    roots.insert(roots.end(), {"runs", "."});
    return roots;
  }
  for (std::size_t start = 0; start <= search_path.size();) {
    const std::size_t end = std::min(search_path.find(':', start), search_path.size());
    if (end > start) roots.emplace_back(search_path.substr(start, end - start));
    start = end + 1;
  }
  return roots;
}

StateDict network_state(const Checkpoint& checkpoint) {
  if (checkpoint.type == CheckpointType::kModel) return checkpoint.model;
  if (checkpoint.type != CheckpointType::kSupervised) {
    fail(Code::kMismatch,
         "a {} checkpoint holds no network with a head; take its backbone with "
         "--load-from and --take teacher",
         to_string(checkpoint.type));
  }
  if (checkpoint.backbone.empty()) {
    fail(Code::kMismatch, "holds a head alone; its backbone is in checkpoint {}",
         checkpoint.uuid_backbone ? checkpoint.uuid_backbone->text() : "unknown");
  }
  StateDict state = checkpoint.backbone;
  for (const auto& [name, tensor] : checkpoint.head) state.append(name, tensor);
  return state;
}

StateDict backbone_state(const Checkpoint& checkpoint, const std::string& take,
                         std::string_view head) {
  const bool model = checkpoint.type == CheckpointType::kModel;
  StateDict state = store::take_weights(checkpoint, !take.empty() ? std::string_view(take)
                                                    : model       ? "model"
                                                                  : "backbone");
  if (starts_with_any(state, kBackbone)) return state.strip_prefix(kBackbone);
  StateDict bare;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with(head)) bare.append(name, tensor);
  }
  return bare;
}

std::string agreed_arch(const Checkpoint& checkpoint, const std::string& arch,
                        std::string_view option) {
  const bool given = !arch.empty() && arch != "auto";
  if (checkpoint.arch.empty() && !given) {
    fail(Code::kUsage, "does not say its architecture; name it with --{}", option);
  }
  if (checkpoint.arch.empty()) return arch;
  if (given && arch != checkpoint.arch) {
    fail(Code::kMismatch, "holds a {}, {} = {}; leave the option out", printable(checkpoint.arch),
         option, arch);
  }
  return checkpoint.arch;
}

FrozenNetwork frozen_network(const store::LoadedCheckpoint& loaded, const std::string& arch,
                             const std::string& take, bool with_head, c10::Device device) {
  try {
    const std::string_view head = arch.starts_with("vit") ? "head." : "fc.";
    const StateDict state = with_head ? network_state(loaded.checkpoint)
                                      : backbone_state(loaded.checkpoint, take, head);
    FrozenNetwork frozen;
    frozen.network = engine::build_network(options_for(arch, state));
    auto weights = std::make_shared<engine::Weights>(frozen.network->layout(), device);
    const engine::KeyReport report =
        engine::load_state(state, weights->named(), false, frozen.network->adapt());
    if (!report.fits()) {
      fail(Code::kMismatch,
           "does not fit a {}:\n{}\nTake a checkpoint of this network; ckpt ls says what a file "
           "holds",
           arch, report.text());
    }
    frozen.weights = std::move(weights);
    return frozen;
  } catch (const Error& error) {
    throw error.at(loaded.path.string());
  }
}

bool is_head_alone(const Checkpoint& checkpoint) {
  return checkpoint.type == CheckpointType::kSupervised && checkpoint.backbone.empty();
}

store::LoadedCheckpoint backbone_of(const store::LoadedCheckpoint& head,
                                    const std::string& reference, const std::string& search_path) {
  OtherCheckpoint wanted;
  wanted.option = "backbone";
  wanted.reference = reference;
  wanted.uuid = head.checkpoint.uuid_backbone;
  const Json& config = head.checkpoint.config;
  if (is_training_config(config)) {
    const Json& derived = config.at("derived");
    if (derived.contains("backbone-path") && derived.at("backbone-path").is_string()) {
      wanted.hint = derived.at("backbone-path").get<std::string>();
    }
  }
  wanted.roots = roots_of(search_path, head.path);
  return open_other(wanted);
}

FrozenNetwork frozen_head(const store::LoadedCheckpoint& head,
                          const store::LoadedCheckpoint& backbone, const std::string& arch,
                          const std::string& take, c10::Device device) {
  const FrozenNetwork below =
      frozen_network(backbone, agreed_arch(backbone.checkpoint, arch, "arch"), take, false, device);
  try {
    const StateDict& state = head.checkpoint.head;
    const std::string bias = std::string(below.network->head_prefix()) + "bias";
    FrozenNetwork joined;
    const std::int64_t outputs = size_of(state, bias, 0, 0);
    if (outputs < 1 || outputs > kMostOutputs) {
      fail(Code::kMismatch, "holds no head of a {}: {} has {} elements",
           below.network->options().arch, bias, outputs);
    }
    joined.network = engine::on_frozen_backbone(below.network, below.weights, outputs);
    auto weights = std::make_shared<engine::Weights>(joined.network->layout(), device);
    engine::load_state(state, weights->named(), true, joined.network->adapt());
    joined.weights = std::move(weights);
    return joined;
  } catch (const Error& error) {
    throw error.at(head.path.string());
  }
}

}  // namespace reprise::experiment
