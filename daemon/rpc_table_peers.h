#pragma once

// Parameters and answers of what a user does with single peers: a part of the table in
// daemon/rpc_table.cpp, which alone includes this.

#include <array>

#include "daemon/rpc_table.h"

namespace peernet::daemon {

inline constexpr std::array kPeerErrors{Errc::not_found, Errc::malformed, Errc::refused,
                                        Errc::too_large};

inline constexpr std::array kPeerConnectParams{
    Field{"endpoint", FieldType::text, Presence::optional,
          "HOST:PORT; the host may be a name. This, a link that names a peer, or both"},
    Field{"link", FieldType::text, Presence::optional,
          "a link: is this share offered there? It need not be known here"},
};
inline constexpr std::array kPeerStepFields{
    Field{"name", FieldType::text, Presence::required,
          "resolve, connect, handshake, identity or share"},
    Field{"is_good", FieldType::boolean, Presence::required, "false: it ended here"},
    Field{"text", FieldType::text, Presence::required, "what was found"},
    Field{"took", FieldType::number, Presence::required, "seconds"},
};
inline constexpr Shape kPeerStep{"peer_step", kPeerStepFields};
inline constexpr std::array kPeerConnectedFields{
    Field{"is_good", FieldType::boolean, Presence::required, "every step ended well"},
    Field{"peer", FieldType::text, Presence::nullable, "the peer id of who is there"},
    Field{"endpoint", FieldType::text, Presence::nullable, "the address that was tried last"},
    Field{"steps", FieldType::list_of_objects, Presence::required, "in order", &kPeerStep},
};
inline constexpr Shape kPeerConnected{"peer_connected", kPeerConnectedFields};

inline constexpr std::string_view kPeerIdDoc =
    "a peer id; of a known peer 8 or more of its first characters";
inline constexpr std::array kPeerIdParams{
    Field{"id", FieldType::text, Presence::required, kPeerIdDoc},
};
inline constexpr std::array kPeerIdFields{
    Field{"id", FieldType::text, Presence::required, "the peer id"},
};
inline constexpr Shape kPeerId{"peer_id", kPeerIdFields};

inline constexpr std::uint64_t kBanSecondsMax = 3660ULL * 86'400;
inline constexpr std::array kPeerBanParams{
    Field{"id", FieldType::text, Presence::required, kPeerIdDoc},
    Field{"seconds", FieldType::integer, Presence::optional,
          "for so long; left out: until it is lifted", nullptr, 1, kBanSecondsMax},
};
inline constexpr std::array kBanFields{
    Field{"id", FieldType::text, Presence::required, "the peer id"},
    Field{"until", FieldType::time, Presence::nullable, "null: until it is lifted"},
    Field{"is_by_hand", FieldType::boolean, Presence::required, "false: it sent wrong data"},
};
inline constexpr Shape kBan{"ban", kBanFields};
inline constexpr std::array kBanListFields{
    Field{"bans", FieldType::list_of_objects, Presence::required, "one by one", &kBan},
    Field{"count", FieldType::integer, Presence::required, "how many there are in all"},
};
inline constexpr Shape kBanList{"bans", kBanListFields};

}  // namespace peernet::daemon
