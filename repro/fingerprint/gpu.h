// The graphics processors that NVIDIA's management library (NVML) knows, without linking it.
#pragma once

#include "ckpt/base/json.h"

namespace reprise::fingerprint {

// {driver, cuda_driver, gpus: [{index, name, uuid, memory_bytes, pci, ecc, clock_sm_mhz,
// clock_memory_mhz, clock_sm_max_mhz, compute_capability, mig, power_limit_w}]}, or {} on a machine
// without the driver. Opens libnvidia-ml.so.1 by dlopen, which costs up to 50 ms where there is
// one, and nothing to speak of where there is none. Errors: none.
Json describe_gpus();

}  // namespace reprise::fingerprint
