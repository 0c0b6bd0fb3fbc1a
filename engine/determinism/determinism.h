// The switches that make one machine give the same bits twice.
#pragma once

#include "ckpt/base/json.h"

#include <c10/core/Device.h>

#include <functional>
#include <string>

namespace reprise::engine {

struct DeterminismOptions {
  bool deterministic = true;
};

// Sets LibTorch's global switches, once, before any tensor work on `device`. On: algorithms
// without a deterministic form are refused, cuDNN deterministic and without benchmark mode,
// no TF32, CUBLAS_WORKSPACE_CONFIG=:4096:8 where it is unset. Off: what LibTorch does by itself.
// On the CPU bits are fixed either way, because every piece of work has one intra-op thread.
// Errors: kUsage when CUBLAS_WORKSPACE_CONFIG holds another value than :4096:8 or :16:8.
void set_determinism(const DeterminismOptions& options, c10::Device device);

// The switches as they stand, and the libraries and CPU features that bits depend on:
// for fingerprint.json and for messages.
Json determinism_state(c10::Device device);

// For fingerprint.json: LibTorch's version and build string, which names what it was built with,
// and the CUDA, cuDNN and NCCL that this process has loaded, each "absent" where it has none.
Json software_state();

// What people can do about an op without a deterministic form, and about memory that is not there:
// each program has options of its own for that. Imperative: "run with --no-deterministic".
struct WaysOut {
  std::string nondeterministic_op;
  std::string out_of_memory;
};
// For the messages of translate_torch_errors() in this process. Once, before it is called.
void set_ways_out(WaysOut ways);

// Calls `work`; LibTorch's errors become ours. Errors: kUnsupported naming the op that has no
// deterministic form; kIo for memory that is not there, both with the way out that was set;
// kInternal with LibTorch's first line for anything else. Errors of our own pass through.
void translate_torch_errors(const std::function<void()>& work);

}  // namespace reprise::engine
