// The one table of options, from which come the keys of configuration files, the command line,
// its help, the printed configuration, and the comparison when a run is resumed.
#pragma once

#include "experiment/config.h"

#include <limits>
#include <span>

namespace reprise::experiment {

// What giving an option another value does to a run that is resumed.
enum class Effect : std::uint8_t {
  kNone,     // nothing to the bits of the weights
  kBits,     // the weights come out different
  kHorizon,  // different unless the learning rate is constant
  kStart,    // says where a run starts or writes: compared with nothing
};

using ConfigField =
    std::variant<std::string Config::*, std::int64_t Config::*, double Config::*, bool Config::*,
                 std::optional<std::int64_t> Config::*, std::optional<double> Config::*>;

inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// One option. `key` is the name in files; the command line puts "--" in front.
struct OptionSpec {
  std::string key = {};
  ConfigField field = {};
  std::string group = {};
  std::string help = {};
  Effect effect = Effect::kNone;
  std::string placeholder = {};
  double low = 0, high = kNoLimit;  // of numbers, both included
  std::vector<std::string> choices = {};
  // Those it means something in; empty: all. Elsewhere it has to be left alone.
  std::vector<std::string> modes = {};
  // Those it means something with, of another option that is text; or another that is a number,
  // which has to be above 0. Empty: all.
  std::string of_option = {};
  std::vector<std::string> of_values = {};
  // Of a field that follows from others: its value, in words, when nobody gives it.
  std::string follows = {};
  // Of a switch: the name that turns it off. Empty: "no-" and the key.
  std::string opposite = {};

  std::string off_name() const { return opposite.empty() ? "no-" + key : opposite; }
};

// In the order of help and of printed files. Built once; safe to share between threads.
std::span<const OptionSpec> option_table();

// nullptr when there is none.
const OptionSpec* find_option(std::string_view key);
// What holds when nobody gives it, as help says it: "64", "--validate"; empty where there is
// nothing.
std::string standard_of(const OptionSpec& spec);
// All keys, for suggestions.
const std::vector<std::string>& option_keys();

// Sets one field after checking type, range and choices.
// Errors: kUsage naming `origin`, the key, what it holds and what it may hold.
void set_option(Config& config, const OptionSpec& spec, const OptionValue& value,
                std::string_view origin);
// Errors: kInternal for an optional field before resolve().
OptionValue get_option(const Config& config, const OptionSpec& spec);

// `value` as TOML: quoted text, numbers that read back to the same double.
std::string to_toml(const OptionValue& value);

// An option of another mode, or of another choice of optimizer, schedule and the like, would be
// silently without effect. As `plain` has it, it says nothing: printed configurations hold every
// key. Errors: kUsage.
void refuse_options_without_effect(const Config& config, const Config& plain);

// Fills in what follows from other options and the number of processes, and refuses options that
// contradict each other. Errors: kUsage.
void resolve(Config& config, int world = 1);

}  // namespace reprise::experiment
