// PackedRow: a row as a catalog keeps it. The bytes that go to consumers are a third of what the struct takes in memory, and
// are made once for all who follow.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "discovery/persistent_map.h"
#include "discovery/row.h"

namespace fairlead::discovery {

class PackedRow {
 public:
  // `wire`: what EncodeUnstamped() gave for a row of that key, and its sequence behind it.
  PackedRow(std::string wire, std::string_view key);
  PackedRow(const PackedRow&) = delete;

  const std::string wire;      // fairlead.discovery.v1.Row
  const std::string_view key;  // within it
};

using PackedRows = PersistentMap<PackedRow>;

// All of the row but its sequence.
std::string EncodeUnstamped(const Row& row);
std::shared_ptr<const PackedRow> Pack(std::string_view unstamped, const Row& row);
// Whether it was packed from these bytes, with whatever sequence.
bool PackedFrom(const PackedRow& packed, std::string_view unstamped);
std::shared_ptr<const Row> Unpack(const PackedRow& packed);

}  // namespace fairlead::discovery
