#include "ckpt/pickle/opcodes.h"

#include <array>

namespace reprise::pickle {

namespace {

struct Row {
  Argument argument = Argument::kUnknownOpcode;
  std::string_view name = "?";
};

constexpr std::array<Row, 256> kRows = [] {
  std::array<Row, 256> rows{};
  const auto set = [&](Op op, std::string_view name, Argument argument = Argument::kNothing) {
    rows[static_cast<std::uint8_t>(op)] = {argument, name};
  };
  set(Op::kMark, "MARK");
  set(Op::kStop, "STOP");
  set(Op::kPop, "POP");
  set(Op::kPopMark, "POP_MARK");
  set(Op::kDup, "DUP");
  set(Op::kFloat, "FLOAT", Argument::kLine);
  set(Op::kInt, "INT", Argument::kLine);
  set(Op::kBinInt, "BININT", Argument::kBytes4);
  set(Op::kBinInt1, "BININT1", Argument::kBytes1);
  set(Op::kLong, "LONG", Argument::kLine);
  set(Op::kBinInt2, "BININT2", Argument::kBytes2);
  set(Op::kNone, "NONE");
  set(Op::kPersId, "PERSID", Argument::kLine);
  set(Op::kBinPersId, "BINPERSID");
  set(Op::kReduce, "REDUCE");
  set(Op::kString, "STRING", Argument::kLine);
  set(Op::kBinString, "BINSTRING", Argument::kCounted4);
  set(Op::kShortBinString, "SHORT_BINSTRING", Argument::kCounted1);
  set(Op::kUnicode, "UNICODE", Argument::kLine);
  set(Op::kBinUnicode, "BINUNICODE", Argument::kCounted4);
  set(Op::kAppend, "APPEND");
  set(Op::kBuild, "BUILD");
  set(Op::kGlobal, "GLOBAL", Argument::kTwoLines);
  set(Op::kDict, "DICT");
  set(Op::kEmptyDict, "EMPTY_DICT");
  set(Op::kAppends, "APPENDS");
  set(Op::kGet, "GET", Argument::kLine);
  set(Op::kBinGet, "BINGET", Argument::kBytes1);
  set(Op::kInst, "INST", Argument::kTwoLines);
  set(Op::kLongBinGet, "LONG_BINGET", Argument::kBytes4);
  set(Op::kList, "LIST");
  set(Op::kEmptyList, "EMPTY_LIST");
  set(Op::kObj, "OBJ");
  set(Op::kPut, "PUT", Argument::kLine);
  set(Op::kBinPut, "BINPUT", Argument::kBytes1);
  set(Op::kLongBinPut, "LONG_BINPUT", Argument::kBytes4);
  set(Op::kSetItem, "SETITEM");
  set(Op::kTuple, "TUPLE");
  set(Op::kEmptyTuple, "EMPTY_TUPLE");
  set(Op::kSetItems, "SETITEMS");
  set(Op::kBinFloat, "BINFLOAT", Argument::kBytes8);
  set(Op::kProto, "PROTO", Argument::kBytes1);
  set(Op::kNewObj, "NEWOBJ");
  set(Op::kExt1, "EXT1", Argument::kBytes1);
  set(Op::kExt2, "EXT2", Argument::kBytes2);
  set(Op::kExt4, "EXT4", Argument::kBytes4);
  set(Op::kTuple1, "TUPLE1");
  set(Op::kTuple2, "TUPLE2");
  set(Op::kTuple3, "TUPLE3");
  set(Op::kNewTrue, "NEWTRUE");
  set(Op::kNewFalse, "NEWFALSE");
  set(Op::kLong1, "LONG1", Argument::kCounted1);
  set(Op::kLong4, "LONG4", Argument::kCounted4);
  set(Op::kBinBytes, "BINBYTES", Argument::kCounted4);
  set(Op::kShortBinBytes, "SHORT_BINBYTES", Argument::kCounted1);
  set(Op::kShortBinUnicode, "SHORT_BINUNICODE", Argument::kCounted1);
  set(Op::kBinUnicode8, "BINUNICODE8", Argument::kCounted8);
  set(Op::kBinBytes8, "BINBYTES8", Argument::kCounted8);
  set(Op::kEmptySet, "EMPTY_SET");
  set(Op::kAddItems, "ADDITEMS");
  set(Op::kFrozenSet, "FROZENSET");
  set(Op::kNewObjEx, "NEWOBJ_EX");
  set(Op::kStackGlobal, "STACK_GLOBAL");
  set(Op::kMemoize, "MEMOIZE");
  set(Op::kFrame, "FRAME", Argument::kBytes8);
  set(Op::kByteArray8, "BYTEARRAY8", Argument::kCounted8);
  set(Op::kNextBuffer, "NEXT_BUFFER");
  set(Op::kReadonlyBuffer, "READONLY_BUFFER");
  return rows;
}();

}  // namespace

Argument argument_of(std::uint8_t opcode) { return kRows[opcode].argument; }
std::string_view opcode_name(std::uint8_t opcode) { return kRows[opcode].name; }

}  // namespace reprise::pickle
