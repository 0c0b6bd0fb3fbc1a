// One process of a run, as everything in this room knows it.
#pragma once

#include "engine/distributed/communicator.h"
#include "engine/distributed/place.h"
#include "engine/workers/worker_pool.h"

#include <c10/core/Device.h>

#include <memory>

namespace reprise::train {

struct Rank {
  engine::ProcessPlace place;
  std::unique_ptr<engine::Communicator> communicator;
  c10::Device device;
  engine::WorkerPool& pool;
  bool first() const { return place.rank == 0; }
};

}  // namespace reprise::train
