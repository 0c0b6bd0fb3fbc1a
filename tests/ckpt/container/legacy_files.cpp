#include "tests/ckpt/container/legacy_files.h"

#include "ckpt/base/file.h"

namespace reprise::container {

std::vector<LegacyFile> legacy_files(const std::filesystem::path& folder) {
  const Json index = parse_json(read_text(folder / "expected" / "index.json"));
  std::vector<LegacyFile> files;
  for (const Json& entry : index.at("files")) {
    files.push_back(
        {entry.at("file").get<std::string>(), entry.at("container").get<std::string>()});
  }
  return files;
}

Json expected_of(const std::filesystem::path& folder, const std::string& name) {
  return parse_json(read_text(folder / "expected" / (name + ".json")), 2000);
}

std::string first_difference(const Json& found, const Json& expected) {
  const auto differ = [&] {
    return found.dump().substr(0, 300) + " != " + expected.dump().substr(0, 300);
  };
  if (found.is_object() && expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      if (!found.contains(key)) return "/" + key + " is missing: " + differ();
      if (const std::string inner = first_difference(found[key], value); !inner.empty())
        return "/" + key + inner;
    }
    for (const auto& [key, value] : found.items()) {
      if (!expected.contains(key))
        return "/" + key + " is too much: " + value.dump().substr(0, 300);
    }
    return "";
  }
  if (found.is_array() && expected.is_array() && found.size() == expected.size()) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (const std::string inner = first_difference(found[i], expected[i]); !inner.empty()) {
        return "/" + std::to_string(i) + inner;
      }
    }
    return "";
  }
  return found == expected ? "" : ": " + differ();
}

Json named_tensors(Value dict) {
  Json named = Json::object();
  for (const DictEntry& entry : dict.as_dict().entries) {
    const Tensor& tensor = entry.value.as_tensor().tensor;
    named[std::string(entry.key.as_string())] = {{"dtype", std::string(name(tensor.dtype()))},
                                                 {"shape", tensor.shape()},
                                                 {"sha256", tensor.digest().hex()}};
  }
  return named;
}

}  // namespace reprise::container
