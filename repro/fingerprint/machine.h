// What the machine is: processor, memory, network, operating system, container.
#pragma once

#include "ckpt/base/json.h"

namespace reprise::fingerprint {

// {cpu: {model, vendor, microcode, features, logical, physical, usable, governor, isa_digest},
//  numa: [{node, cpus, memory_bytes}], memory_bytes, network: [{name, kind, mtu, speed_mbit}]}.
// From /proc and /sys; what cannot be read is left out. About 2 ms. Errors: none.
Json describe_hardware();

// {os, kernel, libc, hostname, container: {...}}. Errors: none.
Json describe_system();

}  // namespace reprise::fingerprint
