// What a kernel of the watched device does to a tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <c10/core/Stream.h>

#include <cstddef>
#include <string>

namespace reprise::engine {

bool is_ours(const at::Tensor& tensor);

// From its first element to its last.
std::size_t extent_bytes(const at::Tensor& tensor);

// Tells the watch of an access on `stream`, or on the one that the calling thread computes on.
// Errors: c10::Error where the device has been told to fail.
void note_on(c10::Stream stream, const at::Tensor& tensor, bool write, const std::string& what);
void note(const at::Tensor& tensor, bool write, const std::string& what);

// The same elements as a tensor of the CPU.
at::Tensor opened(const at::Tensor& tensor);

}  // namespace reprise::engine
