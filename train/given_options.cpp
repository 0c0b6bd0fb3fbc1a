#include "train/given_options.h"

namespace reprise::train {
namespace {

template <typename Field>
constexpr bool kHolds(auto type) {
  using T = decltype(type);
  return std::is_same_v<Field, T experiment::Config::*> ||
         std::is_same_v<Field, std::optional<T> experiment::Config::*>;
}

}  // namespace

GivenOptions::GivenOptions(Command& command) {
  for (const experiment::OptionSpec& spec : experiment::option_table()) {
    Slot& slot = slots_.emplace_back(Slot{&spec, {}});
    const std::string name = "--" + spec.key;
    std::visit(
        [&](auto field) {
          using Field = decltype(field);
          if constexpr (kHolds<Field>(bool{})) {
            auto& place = slot.value.emplace<std::optional<bool>>();
            command.toggle(name, "--" + spec.off_name(), place, spec.help)
                .group(spec.group)
                .standard(experiment::standard_of(spec));
          } else {
            const auto describe = [&](auto& place) {
              Option& option = command.option(name, place, spec.help)
                                   .group(spec.group)
                                   .standard(experiment::standard_of(spec));
              if (!spec.placeholder.empty()) option.placeholder(spec.placeholder);
              if (!spec.choices.empty()) option.choices(spec.choices);
            };
            if constexpr (kHolds<Field>(std::int64_t{})) {
              describe(slot.value.emplace<std::optional<std::int64_t>>());
            } else if constexpr (kHolds<Field>(double{})) {
              describe(slot.value.emplace<std::optional<double>>());
            } else {
              describe(slot.value.emplace<std::optional<std::string>>());
            }
          }
        },
        spec.field);
  }
}

experiment::OptionLayer GivenOptions::layer() const {
  experiment::OptionLayer layer{"the command line", {}};
  for (const Slot& slot : slots_) {
    std::visit(
        [&](const auto& value) {
          if (value) layer.add(*slot.spec, *value);
        },
        slot.value);
  }
  return layer;
}

}  // namespace reprise::train
