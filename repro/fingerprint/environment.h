// The variables of the environment that can change bits or say which job this is.
#pragma once

#include "ckpt/base/json.h"

#include <span>
#include <string>
#include <string_view>

namespace reprise::fingerprint {

// Whether the allow list holds `name`: threads, determinism, libraries, devices, communication.
// Everything else is never written down, whatever it holds.
bool is_captured_variable(std::string_view name);

// {name: value} of what the allow list and `more` name, sorted. Values that look like secrets are
// redacted. Errors: none.
Json describe_environment(std::span<const std::string> more = {});

// {scheduler: "slurm" | "torchrun" | "kubernetes" | "mpi", rank, world_size, variables: {...}};
// {} where no scheduler started this process. Errors: none.
Json describe_job();

}  // namespace reprise::fingerprint
