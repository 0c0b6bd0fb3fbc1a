#include "ckpt/store/checkpoint_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace reprise::store {

namespace {

constexpr std::string_view kPrefix = "checkpoint_";
constexpr std::string_view kFor = "for_";
constexpr std::size_t kUuidLength = 36;
// "head" and "backbone" are types of versions 1 and 2.
constexpr std::array<std::string_view, 5> kTypes = {"dino", "supervised", "model", "head",
                                                    "backbone"};

// An architecture's name as part of a file name: a '/' would leave the folder, and
// shells and people stumble over the rest.
std::string file_part(std::string_view text) {
  if (text.empty()) return "unknown";
  std::string part(text.substr(0, 80));
  for (char& c : part) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '+' || c == '-';
    if (!plain) c = '-';
  }
  return part;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string checkpoint_name(const Checkpoint& checkpoint, SaveKind kind) {
  const bool persistent = kind == SaveKind::kPersistent;
  std::string name(kPrefix);
  name += to_string(checkpoint.type);
  if (persistent && checkpoint.uuid_backbone) name += "_for_" + checkpoint.uuid_backbone->text();
  name += "_" + file_part(checkpoint.arch);
  if (checkpoint.arch_head) name += "_" + file_part(*checkpoint.arch_head);
  if (persistent) name += fmt::format("_ep{:04}_{}", checkpoint.epoch, checkpoint.uuid.text());
  return name + ".h5";
}

std::optional<CheckpointName> parse_checkpoint_name(std::string_view file_name) {
  std::string_view rest = file_name;
  if (rest.ends_with(".h5")) {
    rest.remove_suffix(3);
  } else if (rest.ends_with(".pth")) {
    rest.remove_suffix(4);
  } else {
    return std::nullopt;
  }
  if (!take_prefix(rest, kPrefix)) return std::nullopt;

  CheckpointName name;
  for (const std::string_view type : kTypes) {
    if (rest.starts_with(type) && rest.substr(type.size()).starts_with('_')) name.type = type;
  }
  if (name.type.empty()) return std::nullopt;
  rest.remove_prefix(name.type.size() + 1);

  if (rest.starts_with(kFor) && rest.size() > kFor.size() + kUuidLength) {
    if (const auto uuid = Uuid::parse(rest.substr(kFor.size(), kUuidLength))) {
      name.uuid_backbone = uuid;
      rest.remove_prefix(kFor.size() + kUuidLength);
      if (!take_prefix(rest, "_")) return std::nullopt;
    }
  }
  // From the right, because the architecture in the middle may hold anything.
  if (rest.size() > kUuidLength + 1 && rest[rest.size() - kUuidLength - 1] == '_') {
    const auto uuid = Uuid::parse(rest.substr(rest.size() - kUuidLength));
    const std::string_view left = rest.substr(0, rest.size() - kUuidLength - 1);
    const auto mark = left.rfind("_ep");
    if (uuid && mark != std::string_view::npos) {
      const std::string_view digits = left.substr(mark + 3);
      std::uint64_t epoch = 0;
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), epoch);
      if (error == std::errc() && end == digits.data() + digits.size()) {
        name.uuid = uuid;
        name.epoch = epoch;
        rest = left.substr(0, mark);
      }
    }
  }
  if (rest.empty()) return std::nullopt;
  name.arch_and_head = rest;
  return name;
}

}  // namespace reprise::store
