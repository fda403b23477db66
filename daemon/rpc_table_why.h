#pragma once

// The members of transfer.why's answer: a part of the table in daemon/rpc_table.cpp, which alone
// includes this.

#include <array>

#include "daemon/rpc_table.h"

namespace peernet::daemon {

inline constexpr std::array kWhyDialFields{
    Field{"endpoint", FieldType::text, Presence::required, "address and port"},
    Field{"found_by", FieldType::text, Presence::required,
          "who named it: link, lan, dht, pex (a peer) or remembered"},
    Field{"state", FieldType::text, Presence::required, "waiting, dialling or connected"},
    Field{"outcome", FieldType::text, Presence::nullable,
          "of the last dial: refused, timed_out, unreachable, silent, closed_silently, handshake, "
          "busy, duplicate, banned, share_unknown, ended, other; null: not dialled yet"},
    Field{"meaning", FieldType::text, Presence::required, "the same for people; may be empty"},
    Field{"message", FieldType::text, Presence::required, "its own words; may be empty"},
    Field{"time", FieldType::time, Presence::nullable, "when it came to that"},
    Field{"next", FieldType::time, Presence::nullable, "when it is dialled again"},
};
inline constexpr Shape kWhyDial{"why_dial", kWhyDialFields};

inline constexpr std::array kWhyPeerFields{
    Field{"id", FieldType::text, Presence::required, "the peer id"},
    Field{"endpoint", FieldType::text, Presence::required, "address and port"},
    Field{"has_manifest", FieldType::boolean, Presence::required, "it said so"},
    Field{"has_said_state", FieldType::boolean, Presence::required, "it has said what it has"},
    Field{"done", FieldType::number, Presence::required, "the fraction of the share it has"},
    Field{"is_interesting", FieldType::boolean, Presence::required, "it has what we miss"},
    Field{"is_choking", FieldType::boolean, Presence::required,
          "it serves us nothing now; a peer never says why"},
    Field{"choke_age", FieldType::integer, Presence::required, "seconds in this choke state"},
    Field{"is_snubbed", FieldType::boolean, Presence::required,
          "it has given nothing for 60 s while it held requests"},
    Field{"requests_out", FieldType::integer, Presence::required, "blocks asked for"},
    Field{"quiet", FieldType::integer, Presence::required, "seconds since its last block"},
    Field{"rate_down", FieldType::integer, Presence::required, "bytes a second, all shares"},
};
inline constexpr Shape kWhyPeer{"why_peer", kWhyPeerFields};

inline constexpr std::array kWhyBanFields{
    Field{"peer", FieldType::text, Presence::required, "the peer id"},
    Field{"endpoint", FieldType::text, Presence::required, "address and port"},
    Field{"reason", FieldType::text, Presence::required, "what it did"},
    Field{"time", FieldType::time, Presence::required, "when"},
};
inline constexpr Shape kWhyBan{"why_ban", kWhyBanFields};

inline constexpr std::array kWhyLostFields{
    Field{"count", FieldType::integer, Presence::required, "pieces"},
    Field{"files_count", FieldType::integer, Presence::required, "files they belong to"},
    Field{"pieces", FieldType::anything, Presence::required, "the numbers of the first 16"},
};
inline constexpr Shape kWhyLost{"why_lost", kWhyLostFields};

inline constexpr std::array kWhyLimitsFields{
    Field{"is_limited", FieldType::boolean, Presence::required, "a download limit"},
    Field{"down", FieldType::integer, Presence::nullable, "that limit, bytes a second"},
    Field{"is_memory_short", FieldType::boolean, Presence::required, "limits.memory"},
};
inline constexpr Shape kWhyLimits{"why_limits", kWhyLimitsFields};

inline constexpr std::array kWhyDiskFields{
    Field{"writes", FieldType::integer, Presence::required, "write jobs at the disk"},
    Field{"is_syncing", FieldType::boolean, Presence::required, "data is being made durable"},
};
inline constexpr Shape kWhyDisk{"why_disk", kWhyDiskFields};

}  // namespace peernet::daemon
