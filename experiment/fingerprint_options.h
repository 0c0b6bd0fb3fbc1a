// What a fingerprint says of any process that computes with a configuration.
#pragma once

#include "experiment/config.h"
#include "repro/fingerprint/fingerprint.h"

#include <c10/core/Device.h>

#include <filesystem>

namespace reprise::experiment {

// Command line, configuration, seed, determinism, libraries and threads of this process. What data
// it works on is for the caller to add. `run` is left out of the state of the code. Cost: reads
// this program for its digest. Errors: kIo.
fingerprint::Options fingerprint_options(const Config& config, c10::Device device, unsigned threads,
                                         const std::filesystem::path& run);

}  // namespace reprise::experiment
