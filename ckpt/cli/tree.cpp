#include "ckpt/base/error.h"
#include "ckpt/cli/commands.h"
#include "ckpt/container/canonical.h"
#include "ckpt/container/open.h"
#include "ckpt/store/reference.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

namespace reprise::cli {
namespace {

struct TreeOptions {
  std::string file;
  unsigned max_depth = 12;
};

constexpr unsigned kDeepest = 200;           // a terminal shows no more, and this printer recurses
constexpr std::size_t kLongestInteger = 40;  // bytes
constexpr std::size_t kMostInLine = 8;       // plain values of a sequence on one line

std::string_view class_name(DictClass dict_class) {
  switch (dict_class) {
    case DictClass::kDict: return "dict";
    case DictClass::kOrderedDict: return "OrderedDict";
    case DictClass::kDefaultDict: return "defaultdict";
    case DictClass::kCounter: return "Counter";
    case DictClass::kNamespace: return "Namespace";
  }
  return "dict";
}

std::string_view sequence_name(Kind kind) {
  switch (kind) {
    case Kind::kTuple: return "tuple";
    case Kind::kSet: return "set";
    case Kind::kFrozenSet: return "frozenset";
    default: return "list";
  }
}

bool is_plain(Value v) { return v.kind() <= Kind::kString && v.kind() != Kind::kBigInt; }

// A value without children, on one line.
std::string plain_text(Value v) {
  switch (v.kind()) {
    case Kind::kNone: return "None";
    case Kind::kBool: return v.as_bool() ? "True" : "False";
    case Kind::kInt: return fmt::format("{}", v.as_int());
    case Kind::kFloat: return fmt::format("{}", v.as_float());
    case Kind::kString: return fmt::format("'{}'", printable(v.as_string(), 100));
    case Kind::kBytes: return fmt::format("bytes, {} long", v.as_bytes().size());
    case Kind::kByteArray: return fmt::format("bytearray, {} long", v.as_bytes().size());
    case Kind::kGlobal: return fmt::format("<{}>", printable(v.as_global()));
    case Kind::kTensor: {
      const TensorNode& node = v.as_tensor();
      return fmt::format("{} {} [{}]{}", node.parameter ? "parameter" : "tensor", name(node.dtype),
                         fmt::join(node.shape(), ", "),
                         node.layout == TensorLayout::kStrided ? "" : ", not strided");
    }
    case Kind::kRecord:
      // A storage's digest would mean reading it.
      if (const RecordNode* storage = v.if_record(RecordClass::kStorage)) {
        const Tensor& all = storage->fields[0].as_tensor().tensor;
        return fmt::format("storage {} [{}]", name(all.dtype()), all.elements());
      }
      if (const RecordNode* array = v.if_record(RecordClass::kNumpyArray);
          array != nullptr && array->fields[2].kind() == Kind::kBytes) {
        return fmt::format("numpy array, {} bytes", array->fields[2].as_bytes().size());
      }
      return printable(container::canonical_json(v), 120);
    case Kind::kBigInt:
      // In decimal, a long one costs the square of its size.
      if (v.as_bytes().size() > kLongestInteger)
        return fmt::format("integer, {} bytes long", v.as_bytes().size());
      return printable(container::canonical_json(v), 120);
    default: return printable(container::canonical_json(v), 120);
  }
}

class TreePrinter {
 public:
  TreePrinter(Io& io, int max_depth) : io_(io), max_depth_(max_depth) {}

  // `label` stands in front: a key, an index, a role.
  void print(Value v, const std::string& label, int depth) {
    const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
    const bool nested = v.is_sequence() || v.is_dict() || v.if_opaque() != nullptr;
    if (!nested) {
      const TensorNode* tensor = v.if_tensor();
      const bool more = tensor != nullptr && tensor->attributes.is_dict();
      const bool cut = more && depth >= max_depth_;
      io_.print("{}{}{}{}\n", indent, label, plain_text(v), cut ? ", ..." : "");
      cut_ = cut_ || cut;
      if (more && !cut) print(tensor->attributes, "attributes: ", depth + 1);
      return;
    }
    if (v.is_sequence() && on_one_line(v)) {
      std::vector<std::string> items;
      for (const Value item : v.as_sequence().items) items.push_back(plain_text(item));
      return io_.print("{}{}{} ({})\n", indent, label, sequence_name(v.kind()),
                       fmt::join(items, ", "));
    }
    const bool inside_itself = open_.contains(v.identity());
    const bool above = !inside_itself && shown_above(v, depth);
    io_.print("{}{}{}{}\n", indent, label, title(v),
              inside_itself         ? ", contains itself"
              : above               ? ", as above"
              : depth >= max_depth_ ? ", ..."
                                    : "");
    if (inside_itself || above) return;
    if (depth >= max_depth_) {
      cut_ = true;
      return;
    }
    open_.insert(v.identity());
    const bool cut_before = std::exchange(cut_, false);
    children(v, depth + 1);
    open_.erase(v.identity());
    shown_[v.identity()] = cut_ ? depth : kWhole;
    cut_ = cut_ || cut_before;
  }

 private:
  // Whether what is above says as much of a value as would be said at this depth.
  bool shown_above(Value v, int depth) {
    const auto shown = shown_.find(v.identity());
    if (shown == shown_.end() || shown->second > depth) return false;
    cut_ = cut_ || shown->second != kWhole;
    return true;
  }

  static bool on_one_line(Value v) {
    const auto& items = v.as_sequence().items;
    return items.size() <= kMostInLine && std::all_of(items.begin(), items.end(), is_plain);
  }

  static std::string title(Value v) {
    if (v.is_sequence())
      return fmt::format("{}, {} items", sequence_name(v.kind()), v.as_sequence().items.size());
    if (const DictNode* dict = v.if_dict())
      return fmt::format("{}, {} entries", class_name(dict->dict_class), dict->entries.size());
    return fmt::format("object {}", printable(v.as_opaque().name));
  }

  void children(Value v, int depth) {
    if (v.is_sequence()) {
      std::size_t index = 0;
      for (const Value item : v.as_sequence().items)
        print(item, fmt::format("[{}] ", index++), depth);
    } else if (const DictNode* dict = v.if_dict()) {
      entries(dict->entries, depth);
      if (dict->attributes.is_dict()) print(dict->attributes, "attributes: ", depth);
    } else {
      const OpaqueNode& node = v.as_opaque();
      if (node.args.is_sequence() && !node.args.as_sequence().items.empty())
        print(node.args, "called with: ", depth);
      if (!node.kwargs.is_none()) print(node.kwargs, "keywords: ", depth);
      std::size_t index = 0;
      for (const Value item : node.items) print(item, fmt::format("[{}] ", index++), depth);
      entries(node.entries, depth);
      if (node.has_state) print(node.state, "state: ", depth);
    }
  }

  void entries(const ArenaVector<DictEntry>& all, int depth) {
    for (const DictEntry& entry : all) {
      const bool text = entry.key.is_string();
      print(entry.value, (text ? printable(entry.key.as_string()) : key_text(entry.key)) + ": ",
            depth);
    }
  }

  static std::string key_text(Value key) {
    if (const OpaqueNode* node = key.if_opaque()) return fmt::format("<{}>", printable(node->name));
    return plain_text(key);
  }

  Io& io_;
  int max_depth_;
  std::set<const void*> open_;
  // Values whose inside was shown, once, or they double and double. Where --max-depth cut
  // something off, the depth: nearer to the root there is more to show.
  static constexpr int kWhole = -1;
  std::unordered_map<const void*, int> shown_;
  bool cut_ = false;  // something was cut off inside the value that is being shown
};

int run(const TreeOptions& options, Io& io) {
  const Document document = container::open(
      store::resolve(options.file), {.verify = container::Verify::kTouched, .jobs = io.jobs});
  if (io.json) {
    container::write_canonical(document.root, [&](std::string_view piece) { io.write(piece); });
    io.write("\n");
    return 0;
  }
  TreePrinter(io, static_cast<int>(std::min(options.max_depth, kDeepest)))
      .print(document.root, "", 0);
  return 0;
}

}  // namespace

void add_tree(CommandLine& app) {
  auto options = std::make_shared<TreeOptions>();
  Command& command = app.command("tree", "Every object in a file, uninterpreted");
  command.about(
      "Prints what a file holds as it lies there: no version is upgraded, no dialect recognised, "
      "no "
      "class imported. Objects of unknown classes are shown with what they were made from. --json "
      "gives the canonical form (docs/legacy-formats.md) with the digest of each tensor, whole.");
  command.positional("FILE", options->file,
                     "a file of any readable format, or a reference such as runs/a/<last>");
  command.option("--max-depth", options->max_depth, "levels to print").placeholder("N");
  command.example("ckpt tree old/checkpoint.pth --max-depth 2", "shows the two outermost levels");
  command.on_run([options](Io& io) { return run(*options, io); });
}

}  // namespace reprise::cli
