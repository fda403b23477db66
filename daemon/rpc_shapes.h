#pragma once

// What the answers and events of the RPC are made of: a part of the table in daemon/rpc_table.cpp,
// which alone includes this.

#include <array>

#include "daemon/rpc_table.h"
#include "daemon/rpc_table_why.h"

namespace peernet::daemon::rpc_shapes {

using enum FieldType;
using enum Presence;

// ---- Shapes of answers ----

inline constexpr std::array kErrorFields{
    Field{"code", integer, required, "-32000 minus the exit code of the command line", nullptr},
    Field{"kind", text, required, "which kind of fault, as a word"},
    Field{"message", text, required, "one sentence for people"},
    Field{"hint", text, required, "what to do about it; may be empty"},
};
inline constexpr Shape kError{"error", kErrorFields};

inline constexpr std::array kLookupFields{
    Field{"time", time, required, "when the lookup ended"},
    Field{"nodes_asked", integer, required, "DHT nodes that were asked"},
    Field{"peers_found", integer, required, "addresses of peers that came back"},
};
inline constexpr Shape kLookup{"lookup", kLookupFields};

inline constexpr std::array kVerifyStatusFields{
    Field{"done", integer, required, "bytes hashed"},
    Field{"total", integer, required, "bytes to hash"},
    Field{"damaged", integer, required, "bytes in damaged pieces so far"},
};
inline constexpr Shape kVerifyStatus{"verification", kVerifyStatusFields};

inline constexpr std::array kSelectionFields{
    Field{"only", list_of_text, required, "globs of wanted files; empty: all"},
    Field{"skip", list_of_text, required, "globs of files that these do not mean"},
};
inline constexpr Shape kSelection{"selection", kSelectionFields};

inline constexpr std::array kShareFields{
    Field{"id", text, required, "the share id: s and 56 characters"},
    Field{
        "state", text, required,
        "opening, finding, fetching, stalled (fetching, but nothing comes, for the reason given), "
        "scanning (hooks.scan runs), finishing, seeding, partial (all that is wanted is here), "
        "damaged (pieces at their place are wrong), repairing (these are fetched again), paused, "
        "quarantined (hooks.scan did not let it pass) or failed"},
    Field{"cause", text, required, "what keeps it from being further, as a word; or none"},
    Field{"reason", text, required, "the same as one phrase; may be empty"},
    Field{"error", object, nullable, "what stopped a failed share, or kept back a quarantined one",
          &kError},
    Field{"name", text, required, "the manifest's name, or the link's hint before it is known"},
    Field{"path", text, nullable, "where the finished share stands or will stand"},
    Field{"is_directory", boolean, required, "false while the manifest is unknown"},
    Field{"size", integer, nullable, "bytes"},
    Field{"wanted", integer, nullable, "bytes: of all files, or of those that are wanted"},
    Field{"done", integer, required, "bytes verified and written"},
    Field{"durable", integer, required, "bytes that survive a crash"},
    Field{"pieces_count", integer, required, "pieces; 0 while unknown"},
    Field{"pieces_done", integer, required, "pieces verified"},
    Field{"files_count", integer, required, "files; 0 while unknown"},
    Field{"files_wanted", integer, required, "of these, files that are wanted; 0 while unknown"},
    Field{"selections", list_of_objects, required,
          "a file is wanted that any of these names; empty: all are", &kSelection},
    Field{"rate_down", integer, required, "verified bytes a second"},
    Field{"rate_up", integer, required, "bytes a second"},
    Field{"downloaded", integer, required, "verified bytes received, all sessions"},
    Field{"uploaded", integer, required, "bytes sent, all sessions"},
    Field{"wasted", integer, required, "bytes received and not needed, or wrong, this session"},
    Field{"reread", integer, required, "bytes hashed again from disk before serving, this session"},
    Field{"ratio", number, nullable, "copies given: uploaded / size"},
    Field{"eta", integer, nullable, "seconds until all that is wanted is here"},
    Field{"peers_connected", integer, required, "peers of this share we are connected to"},
    Field{"peers_known", integer, required, "addresses where peers of this share may be"},
    Field{"lookup", object, nullable, "the last DHT lookup", &kLookup},
    Field{"verification", object, nullable, "while share.verify hashes it", &kVerifyStatus},
    Field{"added", time, required, "when it became known here"},
    Field{"completed", time, nullable, "when it became complete here"},
};
inline constexpr Shape kShare{"share", kShareFields};

inline constexpr std::array kDhtFields{
    Field{"is_enabled", boolean, required, "discovery.dht of the config"},
    Field{"id", text, required, "the node id, 40 hex digits"},
    Field{"is_joined", boolean, required, "at least one other node answers"},
    Field{"is_hidden", boolean, required,
          "it only asks (BEP 43): others see an address that is none of ours, and no stranger "
          "asked yet"},
    Field{"nodes_count", integer, required, "nodes in the routing table"},
    Field{"nodes_good", integer, required, "of these, nodes that answered lately"},
    Field{"lookups_count", integer, required, "lookups that run or wait"},
    Field{"keys_stored", integer, required, "keys under which others announced here"},
    Field{"peers_stored", integer, required, "addresses they announced"},
    Field{"queries_in", integer, required, "queries received"},
    Field{"queries_out", integer, required, "queries sent"},
    Field{"replies_in", integer, required, "replies to queries of ours"},
    Field{"errors_in", integer, required, "error messages received"},
    Field{"dropped_in", integer, required, "malformed, unasked for, or over a source's budget"},
    Field{"bytes_in", integer, required, "bytes of datagrams received"},
    Field{"bytes_out", integer, required, "bytes of datagrams sent"},
};
inline constexpr Shape kDht{"dht", kDhtFields};

inline constexpr std::array kStatusFields{
    Field{"version", text, required, "the version of peernetd"},
    Field{"time", time, required, "the daemon's clock"},
    Field{"id", text, required, "the peer id: p and 56 characters"},
    Field{"name", text, required, "identity.name of the config; may be empty"},
    Field{"port", integer, required, "TCP and UDP port"},
    Field{"uptime", integer, required, "seconds"},
    Field{"dht", object, required, "the DHT", &kDht},
    Field{"rate_down", integer, required, "verified bytes a second, all shares"},
    Field{"rate_up", integer, required, "bytes a second, all shares"},
    Field{"limit_down", integer, nullable, "bytes a second; null: no limit"},
    Field{"limit_up", integer, nullable, "bytes a second; null: no limit"},
    Field{"network", text, nullable,
          "the private network, by a name that its members can compare; null: the public one"},
    Field{"peers_connected", integer, required, "connected peers"},
    Field{"shares_count", integer, required, "shares"},
};
inline constexpr Shape kStatus{"status", kStatusFields};

inline constexpr std::array kPathsFields{
    Field{"config", text, required, "the config file"},
    Field{"state", text, required, "the directory of everything that lasts"},
    Field{"identity", text, required, "the key file"},
    Field{"database", text, required, "the state database"},
    Field{"leaves", text, required, "the directory of leaf hashes"},
    Field{"socket", text, required, "the control socket"},
    Field{"downloads", text, required, "where fetch puts things when not told"},
};
inline constexpr Shape kPaths{"paths", kPathsFields};

inline constexpr std::array kConfigFields{
    Field{"config", anything, required, "every effective value, in the form of the config file"},
    Field{"paths", object, required, "where this node lives", &kPaths},
};
inline constexpr Shape kConfig{"config", kConfigFields};

inline constexpr std::array kLeftOutFields{
    Field{"path", text, required, "below the share's top"},
    Field{"reason", text, required, "symlink, empty directory, socket, ..."},
};
inline constexpr Shape kLeftOut{"left_out", kLeftOutFields};

inline constexpr std::array kAddedFields{
    Field{"id", text, required, "the share id"},
    Field{"link", text, required, "the text to give to others"},
    Field{"name", text, required, "the share's name"},
    Field{"path", text, required, "where it stands"},
    Field{"size", integer, required, "bytes"},
    Field{"files_count", integer, required, "files"},
    Field{"was_known", boolean, required, "the same share was there already"},
    Field{"left_out", list_of_objects, required, "what is not in the share, at most 1000 of it",
          &kLeftOut},
    Field{"left_out_count", integer, required, "how many were left out in all"},
};
inline constexpr Shape kAdded{"added", kAddedFields};

inline constexpr std::array kIdFields{
    Field{"id", text, required, "the share id"},
};
inline constexpr Shape kId{"id", kIdFields};

inline constexpr std::array kShareListFields{
    Field{"shares", list_of_objects, required, "in the order they were added", &kShare},
    Field{"count", integer, required, "how many there are in all"},
};
inline constexpr Shape kShareList{"shares", kShareListFields};

inline constexpr std::array kFileFields{
    Field{"path", text, required, "below the share's top; empty for a share of one file"},
    Field{"size", integer, required, "bytes"},
    Field{"done", integer, required, "bytes verified"},
    Field{"is_wanted", boolean, required, "it is fetched; or would be, of a preview"},
    Field{"is_executable", boolean, required, "its owner may run it"},
};
inline constexpr Shape kFile{"file", kFileFields};

inline constexpr std::array kFilesFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"is_directory", boolean, required, "a tree, or a single file"},
    Field{"piece_length", integer, required, "bytes"},
    Field{"files", list_of_objects, required, "in the order of the manifest", &kFile},
    Field{"count", integer, required, "how many there are in all"},
};
inline constexpr Shape kFiles{"files", kFilesFields};

inline constexpr std::array kLinkFields{
    Field{"id", text, required, "the share id"},
    Field{"link", text, required, "the text to give to others"},
};
inline constexpr Shape kLink{"link", kLinkFields};

inline constexpr std::array kReadFields{
    Field{"id", text, required, "the share id"},
    Field{"offset", integer, required, "of the first byte, in the file"},
    Field{"file_size", integer, required, "bytes of the whole file"},
    Field{"payload", integer, required, "so many bytes follow this line as they are; 0 at the end"},
};
inline constexpr Shape kRead{"read", kReadFields};

inline constexpr std::array kPreviewFields{
    Field{"id", text, required, "the share id, for share.files on this connection"},
    Field{"name", text, required, "the share's name"},
    Field{"size", integer, required, "bytes"},
    Field{"files_count", integer, required, "files"},
    Field{"is_known", boolean, required, "it is a share of this node, and stays"},
};
inline constexpr Shape kPreview{"preview", kPreviewFields};

inline constexpr std::array kDamagedFields{
    Field{"path", text, required, "below the share's top; empty for a share of one file"},
    Field{"offset", integer, required, "of the first byte, in the file"},
    Field{"size", integer, required, "bytes, in whole pieces"},
};
inline constexpr Shape kDamaged{"damaged_range", kDamagedFields};
inline constexpr std::array kVerifiedFields{
    Field{"id", text, required, "the share id"},
    Field{"size", integer, required, "bytes that were hashed: all that was claimed"},
    Field{"damaged_size", integer, required, "bytes of these in damaged pieces"},
    Field{"damaged_count", integer, required, "damaged pieces"},
    Field{"damaged", list_of_objects, required, "where they are, at most 1000 ranges", &kDamaged},
    Field{"is_repairing", boolean, required,
          "they are fetched again, into their place; state repairing or fetching tells how far"},
};
inline constexpr Shape kVerified{"verified", kVerifiedFields};

inline constexpr std::array kVerifyProgressFields{
    Field{"id", text, required, "the share id"},
    Field{"done", integer, required, "bytes hashed"},
    Field{"total", integer, required, "bytes to hash"},
    Field{"rate", integer, required, "bytes a second"},
    Field{"damaged", integer, required, "bytes in damaged pieces so far"},
};
inline constexpr Shape kVerifyProgress{"verify_progress", kVerifyProgressFields};

inline constexpr std::array kVerifiedEventFields{
    Field{"id", text, required, "the share id"},
    Field{"damaged_count", integer, required, "damaged pieces"},
    Field{"error", object, nullable, "why it did not end", &kError},
};
inline constexpr Shape kVerifiedEvent{"verified_event", kVerifiedEventFields};

inline constexpr std::array kPeerShareFields{
    Field{"id", text, required, "the share id"},
    Field{"done", number, required, "the fraction of the share that the peer has, 0 to 1"},
};
inline constexpr Shape kPeerShare{"peer_share", kPeerShareFields};

inline constexpr std::array kPeerFields{
    Field{"id", text, required, "the peer id: p and 56 characters"},
    Field{"endpoint", text, required, "address and port"},
    Field{"is_inbound", boolean, required, "the peer dialled us"},
    Field{"found_by", text, nullable,
          "who named its address: link, lan, dht, pex (a peer) or remembered; null: it came to us"},
    Field{"is_choked", boolean, required, "we serve the peer nothing now"},
    Field{"is_interested", boolean, required, "the peer wants something we have"},
    Field{"is_choking", boolean, required, "the peer serves us nothing now"},
    Field{"is_interesting", boolean, required, "the peer has something we want"},
    Field{"rate_down", integer, required, "bytes a second from the peer"},
    Field{"rate_up", integer, required, "bytes a second to the peer"},
    Field{"downloaded", integer, required, "bytes, this connection"},
    Field{"uploaded", integer, required, "bytes, this connection"},
    Field{"requests_out", integer, required, "blocks asked for and not yet here"},
    Field{"round_trip", number, nullable, "seconds"},
    Field{"connected", integer, required, "seconds since it was connected"},
    Field{"shares", list_of_objects, required, "shares in common, at most 16 of them", &kPeerShare},
    Field{"shares_count", integer, required, "how many shares in common in all"},
};
inline constexpr Shape kPeer{"peer", kPeerFields};

inline constexpr std::array kPeerListFields{
    Field{"peers", list_of_objects, required, "the connected peers", &kPeer},
    Field{"count", integer, required, "how many there are in all"},
};
inline constexpr Shape kPeerList{"peers", kPeerListFields};

inline constexpr std::array kDhtNodeFields{
    Field{"id", text, required, "the node id, 40 hex digits"},
    Field{"endpoint", text, required, "address and port"},
    Field{"shared_bits", integer, required, "leading bits that its id shares with ours"},
};
inline constexpr Shape kDhtNode{"dht_node", kDhtNodeFields};

inline constexpr std::array kDhtBucketFields{
    Field{"shared_bits", integer, required, "leading bits that these ids share with ours"},
    Field{"nodes_count", integer, required, "nodes"},
};
inline constexpr Shape kDhtBucket{"dht_bucket", kDhtBucketFields};

inline constexpr std::array kDhtStatsFields{
    Field{"dht", object, required, "as dht.status gives it", &kDht},
    Field{"address", text, nullable, "our address, as enough others see it"},
    Field{"estimate", integer, nullable, "nodes of the whole network, estimated"},
    Field{"items_stored", integer, required, "items (BEP 44) that others put here"},
    Field{"buckets", list_of_objects, required, "the table by distance, farthest first",
          &kDhtBucket},
    Field{"nodes", list_of_objects, required, "nodes in the table, the best first, at most 200",
          &kDhtNode},
};
inline constexpr Shape kDhtStats{"dht_stats", kDhtStatsFields};

inline constexpr std::array kDhtStepFields{
    Field{"node", text, required, "address and port of the node that was asked"},
    Field{"id", text, nullable, "the id it was believed to have"},
    Field{"distance", integer, nullable, "bits of the distance from the key, 0 to 160"},
    Field{"asked", number, required, "seconds after the lookup began"},
    Field{"took", number, required, "seconds until the outcome"},
    Field{"outcome", text, required,
          "answered, stranger (under another id), refused (an error) or failed (nothing in 3 s)"},
    Field{"is_announce", boolean, required, "it was told of the announce, not asked"},
    Field{"nodes", integer, required, "nodes that its answer names"},
    Field{"peers", integer, required, "peers that its answer names"},
};
inline constexpr Shape kDhtStep{"dht_step", kDhtStepFields};

inline constexpr Field kAskedField{"nodes_asked", integer, required, "DHT nodes that were asked"};
inline constexpr Field kAnsweredField{"nodes_answered", integer, required,
                                      "of these, those that answered"};
inline constexpr Field kTookField{"took", number, required, "seconds"};
inline constexpr Field kStepsField{
    "steps", list_of_objects, required,
    "with `trace`: what became of each query, in the order of the outcomes", &kDhtStep};
inline constexpr std::array kDhtLookupFields{
    Field{"key", text, required, "40 hex digits"},
    Field{"peers", list_of_text, required, "addresses and ports, as they came"},
    kAskedField,
    kAnsweredField,
    kTookField,
    kStepsField,
};
inline constexpr Shape kDhtLookup{"dht_lookup", kDhtLookupFields};

inline constexpr std::array kDhtAnnouncedFields{
    Field{"key", text, required, "40 hex digits"},
    Field{"port", integer, required, "what was announced"},
    Field{"stored", integer, required, "nodes that have confirmed it"},
    kAskedField,
    kAnsweredField,
    kTookField,
    kStepsField,
};
inline constexpr Shape kDhtAnnounced{"dht_announced", kDhtAnnouncedFields};

inline constexpr Field kTargetField{"target", text, required, "what it is found by, 40 hex digits"};
inline constexpr Field kPublicKeyField{"public_key", text, nullable,
                                       "who signs a mutable item, 64 hex digits"};
inline constexpr Field kSeqField{"seq", integer, nullable, "the sequence number of a mutable item"};
inline constexpr std::array kDhtItemFields{
    kTargetField,
    Field{"value", text, required, "the bencoded value as hex digits"},
    Field{"text", text, nullable, "the value, if it is a byte string in UTF-8"},
    kPublicKeyField,
    kSeqField,
    Field{"signature", text, nullable, "of a mutable item, 128 hex digits; it was checked"},
    kAskedField,
    kAnsweredField,
    kTookField,
};
inline constexpr Shape kDhtItem{"dht_item", kDhtItemFields};

inline constexpr std::array kDhtStoredFields{
    kTargetField,
    kPublicKeyField,
    kSeqField,
    Field{"stored", integer, required, "nodes that have confirmed it"},
    Field{"refused", integer, required, "nodes that answered with an error"},
    kAskedField,
    kAnsweredField,
    kTookField,
};
inline constexpr Shape kDhtStored{"dht_stored", kDhtStoredFields};

inline constexpr std::array kDhtPingedFields{
    Field{"endpoint", text, required, "the address and port that answered"},
    Field{"id", text, required, "its node id, 40 hex digits"},
    kTookField,
};
inline constexpr Shape kDhtPinged{"dht_pinged", kDhtPingedFields};

inline constexpr std::array kIdentityFields{
    Field{"id", text, required, "the peer id: p and 56 characters"},
    Field{"name", text, required, "identity.name of the config; may be empty"},
};
inline constexpr Shape kIdentity{"identity", kIdentityFields};

inline constexpr std::array kSubscribedFields{
    Field{"seq", integer, required, "the number of the newest event"},
    Field{"is_lost", boolean, required,
          "events after `since` are no longer there (or the daemon was started anew since then)"},
    Field{"kinds", list_of_text, required, "what will be sent"},
};
inline constexpr Shape kSubscribed{"subscribed", kSubscribedFields};

inline constexpr Shape kEmpty{"empty", {}};
inline constexpr Shape kOpenRpc{"openrpc", {}};

inline constexpr std::array kWhyFields{
    Field{"share", object, required, "as share.status gives it; with cause and reason", &kShare},
    Field{"since", time, nullable, "the cause stands since then; null: it is new"},
    Field{"age", integer, nullable, "the same in seconds"},
    Field{"has_lookups", boolean, required, "discovery.dht of the config"},
    Field{"next_lookup", time, nullable, "when providers are looked for again"},
    Field{"dials", list_of_objects, required, "addresses, the last tried first, at most 32",
          &kWhyDial},
    Field{"dials_count", integer, required, "how many addresses are known in all"},
    Field{"peers", list_of_objects, required, "connected peers, at most 64", &kWhyPeer},
    Field{"peers_count", integer, required, "how many are connected in all"},
    Field{"lost", object, required, "what is missing and no connected peer has", &kWhyLost},
    Field{"bans", list_of_objects, required, "who sent wrong data for it, the last 8", &kWhyBan},
    Field{"limits", object, required, "what held back a request in the last 3 s", &kWhyLimits},
    Field{"disk", object, required, "what the disk works on", &kWhyDisk},
    Field{"last_data", time, nullable, "when the last good block came, in this run"},
    Field{"next_retry", time, nullable, "the next dial or lookup"},
};
inline constexpr Shape kWhy{"why", kWhyFields};

// ---- Shapes of events ----

inline constexpr std::array kImportProgressFields{
    Field{"path", text, required, "as given to share.add"},
    Field{"done", integer, required, "bytes hashed"},
    Field{"total", integer, required, "bytes in all"},
    Field{"rate", integer, required, "bytes a second, from the start"},
};
inline constexpr Shape kImportProgress{"import_progress", kImportProgressFields};
inline constexpr std::array kImportedFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"path", text, required, "where it stands"},
    Field{"was_known", boolean, required, "the same share was there already"},
    Field{"left_out_count", integer, required, "things that are not in the share"},
};
inline constexpr Shape kImported{"imported", kImportedFields};
inline constexpr std::array kImportFailedFields{
    Field{"path", text, required, "as given to share.add"},
    Field{"error", object, required, "why", &kError},
};
inline constexpr Shape kImportFailed{"import_failed", kImportFailedFields};
inline constexpr std::array kManifestFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"size", integer, nullable, "bytes"},
    Field{"files_count", integer, required, "files"},
};
inline constexpr Shape kManifest{"manifest", kManifestFields};
inline constexpr std::array kProgressFields{
    Field{"share", object, required, "as share.status gives it", &kShare},
};
inline constexpr Shape kProgress{"progress", kProgressFields};
inline constexpr std::array kCompletedFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"path", text, nullable, "where it stands"},
};
inline constexpr Shape kCompleted{"completed", kCompletedFields};
inline constexpr std::array kDurableFields{
    Field{"id", text, required, "the share id"},
    Field{"bytes", integer, required, "what a crash cannot take back any more"},
};
inline constexpr Shape kDurable{"durable", kDurableFields};
inline constexpr std::array kStateFields{
    Field{"id", text, required, "the share id"},
    Field{"state", text, required, "as in share.status"},
    Field{"reason", text, required, "why; may be empty"},
    Field{"error", object, nullable, "what stopped a failed share", &kError},
};
inline constexpr Shape kState{"state", kStateFields};
inline constexpr std::array kRemovedFields{
    Field{"id", text, required, "the share id"},
    Field{"error", object, nullable, "what of it could not be removed", &kError},
};
inline constexpr Shape kRemoved{"removed", kRemovedFields};
inline constexpr std::array kPeerJoinedFields{
    Field{"peer", text, required, "the peer id"},
    Field{"endpoint", text, required, "address and port"},
};
inline constexpr Shape kPeerJoined{"peer_joined", kPeerJoinedFields};
inline constexpr std::array kPeerGoneFields{
    Field{"peer", text, required, "the peer id"},
    Field{"endpoint", text, required, "address and port"},
    Field{"reason", text, required, "why"},
};
inline constexpr Shape kPeerGone{"peer_gone", kPeerGoneFields};

}  // namespace peernet::daemon::rpc_shapes
