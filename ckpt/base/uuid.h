// UUIDs (RFC 9562): random ones for saves, name-based ones for old files.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reprise {

// A value type of 16 bytes.
class Uuid {
 public:
  // The nil UUID, all zero.
  Uuid() = default;

  // Version 4, from the system's cryptographic random source. Errors: kInternal.
  static Uuid random();
  // Version 5: SHA-1 of name space and name (RFC 9562, 5.5), for NAMESPACE_URL.
  // Python's uuid.uuid5(uuid.NAMESPACE_URL, name).
  static Uuid from_url_name(std::string_view name);
  // Accepts 8-4-4-4-12 hexadecimal digits in either case; nothing else.
  static std::optional<Uuid> parse(std::string_view text);

  // 36 characters, lower case.
  std::string text() const;
  bool is_nil() const { return *this == Uuid(); }

  auto operator<=>(const Uuid&) const = default;

 private:
  void set_version(unsigned version);
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace reprise
