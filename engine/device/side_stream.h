// A queue of work for a GPU beside the one that computes.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <optional>

namespace reprise::engine {

// What is given to a GPU on this stream waits for nothing that is computed meanwhile, and holds
// nothing of it up, but where after_compute() and before_compute() say so. The CPU has no streams:
// for it nothing does anything. Asks the device by LibTorch's interface for all of them, so that
// programs need not link CUDA. Safe from several threads, one at a time; the device outlives it.
class SideStream {
 public:
  // Beside the stream that the calling thread computes on. Errors: c10::Error of the device.
  explicit SideStream(c10::Device device);

  // While it lives, what this thread gives to the device goes to the side stream; tensors that are
  // made meanwhile belong to it.
  class Scope {
   public:
    explicit Scope(const SideStream& side);

   private:
    std::optional<c10::StreamGuard> guard_;
  };

  // What goes to the side stream from now on is done after all that the other was given by now.
  void after_compute();
  // The reverse.
  void before_compute();

 private:
  std::optional<c10::Stream> compute_;
  std::optional<c10::Stream> side_;
  std::optional<c10::Event> computed_;
  std::optional<c10::Event> done_;
};

}  // namespace reprise::engine
