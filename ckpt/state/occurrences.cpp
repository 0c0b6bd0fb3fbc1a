#include "ckpt/state/occurrences.h"

namespace reprise {

bool has_identity(Value value) {
  switch (value.kind()) {
    case Kind::kByteArray:
    case Kind::kList:
    case Kind::kSet:
    case Kind::kDict:
    case Kind::kTensor:
    case Kind::kOpaque: return true;
    case Kind::kRecord:
      return value.if_record(RecordClass::kNumpyArray) != nullptr ||
             value.if_record(RecordClass::kStorage) != nullptr;
    default: return false;
  }
}

const Storage* storage_of(Value value) {
  if (value.is_tensor()) return value.as_tensor().tensor.storage().get();
  const RecordNode* record = value.if_record(RecordClass::kStorage);
  return record == nullptr ? nullptr : storage_of(record->fields[0]);
}

Occurrences::Occurrences(Value root) {
  open_.push_back(root);
  while (!open_.empty()) {
    const Value value = open_.back();
    open_.pop_back();
    visit(value);
  }
}

bool Occurrences::recurs(Value value) const {
  const auto found = counts_.find(value.identity());
  return found != counts_.end() && found->second > 1;
}

bool Occurrences::is_shared(const Storage* storage) const {
  const auto found = users_.find(storage);
  return found != users_.end() && found->second > 1;
}

void Occurrences::visit(Value value) {
  const bool identified = has_identity(value);
  const bool unfolds = value.kind() == Kind::kTuple || value.kind() == Kind::kFrozenSet;
  if (!identified && !unfolds) return;
  // What lies in a tuple that occurs twice occurs twice itself: a second visit says so,
  // and a third would say nothing new.
  const int seen = ++counts_[value.identity()];
  if (identified ? seen > 1 : seen > 2) return;
  if (const Storage* storage = storage_of(value)) ++users_[storage];
  add_children(value);
}

void Occurrences::add(Value value) {
  if (value.identity() != nullptr) open_.push_back(value);
}

void Occurrences::add_entries(const ArenaVector<DictEntry>& entries) {
  for (const DictEntry& entry : entries) {
    add(entry.key);
    add(entry.value);
  }
}

void Occurrences::add_children(Value value) {
  if (value.is_sequence()) {
    for (const Value item : value.as_sequence().items) add(item);
  } else if (const DictNode* dict = value.if_dict()) {
    add_entries(dict->entries);
    add(dict->factory);
    add(dict->attributes);
  } else if (const TensorNode* tensor = value.if_tensor()) {
    add(tensor->attributes);
    if (tensor->other) {
      for (const Value part :
           {tensor->other->indices, tensor->other->plain_indices, tensor->other->values})
        add(part);
    }
    if (tensor->quantizer) {
      add(tensor->quantizer->scales);
      add(tensor->quantizer->zero_points);
    }
  } else if (const OpaqueNode* opaque = value.if_opaque()) {
    for (const Value part : {opaque->args, opaque->kwargs, opaque->state}) add(part);
    for (const Value item : opaque->items) add(item);
    add_entries(opaque->entries);
  } else if (const RecordNode* array = value.if_record(RecordClass::kNumpyArray)) {
    add(array->fields[2]);
  }
}

}  // namespace reprise
