// Objects with faces: vehicles and houses. See objects.h.
#pragma once

#include "engine/data/roads/objects.h"

namespace reprise::engine::roads {

// Pure functions; no errors. `object` must be of such a kind.
std::optional<Hit> look_at_vehicle(const World& world, const Object& object, Sight sight);
std::optional<Hit> look_at_house(const World& world, const Object& object, Sight sight);

}  // namespace reprise::engine::roads
