// Pickled PyTorch objects as the state dicts their own state_dict() would give.
#pragma once

#include "ckpt/state/value.h"

#include <string>
#include <vector>

namespace reprise::migrate {

// Whether a value is a pickled torch.optim.Optimizer of any class: an object with
// state {defaults, state, param_groups}.
bool is_optimizer_object(Value value);

// What Optimizer.state_dict() returns (torch/optim/optimizer.py): parameters are
// numbered in the order of param_groups, `state` keeps its order with numbers in
// place of parameters, `params` comes last in each group. Identity decides which
// parameter is which, since that is how Python keyed them.
// Errors: kCorrupt when `state` is keyed by a parameter that no group holds, or the
// object has another shape.
Value optimizer_state_dict(Arena& arena, const OpaqueNode& optimizer);

// Whether a value is a pickled torch.nn.Module of any class: an object whose state
// has _parameters, _buffers and _modules.
bool is_module_object(Value value);

struct ModuleState {
  Value state_dict;                  // ordered dict of name to tensor
  std::vector<std::string> modules;  // "name: class" of every module, for the report
};

// What Module.state_dict() returns (torch/nn/modules/module.py): a module's own
// parameters, then its persistent buffers, then its children with "name." in front.
// Errors: kCorrupt when modules contain each other in a circle, or are nested more
// than 200 levels deep.
ModuleState module_state_dict(Arena& arena, const OpaqueNode& module);

}  // namespace reprise::migrate
