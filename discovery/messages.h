// The conversation between an agent and a consumer, as plain values; discovery/row_codec.h puts them on the wire.
//
//   consumer                              agent
//   Subscribe{known positions, kinds of rows}  ──▶
//                               ◀──  Update… full state in chunks, or what changed since the known position
//   Ack{position}               ──▶       when the consumer's listeners have applied it
//                               ◀──  Update… newest wins: a slow reader finds one delta, never a queue
//                               ◀──  Update without changes: heartbeat
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/packed_row.h"
#include "discovery/row.h"

namespace fairlead::discovery {

// How far the rows of one owner are known.
struct Position {
  std::string node;
  uint64_t epoch = 0, revision = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

// Which rows a consumer follows, by how their keys begin: "endpoint", "lease", "node". None named: all.
using Kinds = std::vector<std::string>;
inline bool Follows(const Kinds& kinds, std::string_view key) {
  return kinds.empty() || std::ranges::find(kinds, key.substr(0, key.find('/'))) != kinds.end();
}

struct Subscribe {
  std::string consumer;
  std::vector<Position> known;  // of rows of these kinds: who comes to want more kinds knows nothing yet
  Kinds kinds = {};
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};

struct Ack {
  Position position;
  friend bool operator==(const Ack&, const Ack&) = default;
};

template <class R>
struct UpdateOf {
  Position position;        // where the receiver stands after this update, unless `more`
  bool full = false;        // part of the full state; otherwise what changed since the receiver's position
  bool more = false;        // further parts of the full state follow
  bool synced = false;      // the owner knows all of its rows: those of older epochs may go
  std::vector<std::shared_ptr<const R>> upserts;
  std::vector<std::string> removes;
};
using Update = UpdateOf<Row>;              // as it is received
using PackedUpdate = UpdateOf<PackedRow>;  // as an agent sends it

}  // namespace fairlead::discovery
