#include "daemon/rpc_table.h"

#include <array>

#include "core/identity.h"
#include "daemon/rpc_table_face.h"
#include "daemon/rpc_table_why.h"

namespace peernet::daemon {
namespace {

using enum FieldType;
using enum Presence;

// ---- Shapes of answers ----

constexpr std::array kErrorFields{
    Field{"code", integer, required, "-32000 minus the exit code of the command line", nullptr},
    Field{"kind", text, required, "which kind of fault, as a word"},
    Field{"message", text, required, "one sentence for people"},
    Field{"hint", text, required, "what to do about it; may be empty"},
};
constexpr Shape kError{"error", kErrorFields};

constexpr std::array kLookupFields{
    Field{"time", time, required, "when the lookup ended"},
    Field{"nodes_asked", integer, required, "DHT nodes that were asked"},
    Field{"peers_found", integer, required, "addresses of peers that came back"},
};
constexpr Shape kLookup{"lookup", kLookupFields};

constexpr std::array kShareFields{
    Field{"id", text, required, "the share id: s and 56 characters"},
    Field{
        "state", text, required,
        "opening, finding, fetching, stalled (fetching, but nothing comes, for the reason given), "
        "finishing, seeding, paused or failed"},
    Field{"cause", text, required, "what keeps it from being further, as a word; or none"},
    Field{"reason", text, required, "the same as one phrase; may be empty"},
    Field{"error", object, nullable, "what stopped a failed share", &kError},
    Field{"name", text, required, "the manifest's name, or the link's hint before it is known"},
    Field{"path", text, nullable, "where the finished share stands or will stand"},
    Field{"is_directory", boolean, required, "false while the manifest is unknown"},
    Field{"size", integer, nullable, "bytes"},
    Field{"done", integer, required, "bytes verified and written"},
    Field{"durable", integer, required, "bytes that survive a crash"},
    Field{"pieces_count", integer, required, "pieces; 0 while unknown"},
    Field{"pieces_done", integer, required, "pieces verified"},
    Field{"files_count", integer, required, "files; 0 while unknown"},
    Field{"rate_down", integer, required, "verified bytes a second"},
    Field{"rate_up", integer, required, "bytes a second"},
    Field{"downloaded", integer, required, "verified bytes received, all sessions"},
    Field{"uploaded", integer, required, "bytes sent, all sessions"},
    Field{"wasted", integer, required, "bytes received and not needed, or wrong, this session"},
    Field{"reread", integer, required, "bytes hashed again from disk before serving, this session"},
    Field{"ratio", number, nullable, "copies given: uploaded / size"},
    Field{"eta", integer, nullable, "seconds until it is complete"},
    Field{"peers_connected", integer, required, "peers of this share we are connected to"},
    Field{"peers_known", integer, required, "addresses where peers of this share may be"},
    Field{"lookup", object, nullable, "the last DHT lookup", &kLookup},
    Field{"added", time, required, "when it became known here"},
    Field{"completed", time, nullable, "when it became complete here"},
};
constexpr Shape kShare{"share", kShareFields};

constexpr std::array kDhtFields{
    Field{"is_enabled", boolean, required, "discovery.dht of the config"},
    Field{"id", text, required, "the node id, 40 hex digits"},
    Field{"is_joined", boolean, required, "at least one other node answers"},
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
constexpr Shape kDht{"dht", kDhtFields};

constexpr std::array kStatusFields{
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
    Field{"peers_connected", integer, required, "connected peers"},
    Field{"shares_count", integer, required, "shares"},
};
constexpr Shape kStatus{"status", kStatusFields};

constexpr std::array kPathsFields{
    Field{"config", text, required, "the config file"},
    Field{"state", text, required, "the directory of everything that lasts"},
    Field{"identity", text, required, "the key file"},
    Field{"database", text, required, "the state database"},
    Field{"leaves", text, required, "the directory of leaf hashes"},
    Field{"socket", text, required, "the control socket"},
    Field{"downloads", text, required, "where fetch puts things when not told"},
};
constexpr Shape kPaths{"paths", kPathsFields};

constexpr std::array kConfigFields{
    Field{"config", anything, required, "every effective value, in the form of the config file"},
    Field{"paths", object, required, "where this node lives", &kPaths},
};
constexpr Shape kConfig{"config", kConfigFields};

constexpr std::array kLeftOutFields{
    Field{"path", text, required, "below the share's top"},
    Field{"reason", text, required, "symlink, empty directory, socket, ..."},
};
constexpr Shape kLeftOut{"left_out", kLeftOutFields};

constexpr std::array kAddedFields{
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
constexpr Shape kAdded{"added", kAddedFields};

constexpr std::array kIdFields{
    Field{"id", text, required, "the share id"},
};
constexpr Shape kId{"id", kIdFields};

constexpr std::array kShareListFields{
    Field{"shares", list_of_objects, required, "in the order they were added", &kShare},
    Field{"count", integer, required, "how many there are in all"},
};
constexpr Shape kShareList{"shares", kShareListFields};

constexpr std::array kFileFields{
    Field{"path", text, required, "below the share's top; empty for a share of one file"},
    Field{"size", integer, required, "bytes"},
    Field{"done", integer, required, "bytes verified"},
    Field{"is_executable", boolean, required, "its owner may run it"},
};
constexpr Shape kFile{"file", kFileFields};

constexpr std::array kFilesFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"is_directory", boolean, required, "a tree, or a single file"},
    Field{"piece_length", integer, required, "bytes"},
    Field{"files", list_of_objects, required, "in the order of the manifest", &kFile},
    Field{"count", integer, required, "how many there are in all"},
};
constexpr Shape kFiles{"files", kFilesFields};

constexpr std::array kLinkFields{
    Field{"id", text, required, "the share id"},
    Field{"link", text, required, "the text to give to others"},
};
constexpr Shape kLink{"link", kLinkFields};

constexpr std::array kPeerShareFields{
    Field{"id", text, required, "the share id"},
    Field{"done", number, required, "the fraction of the share that the peer has, 0 to 1"},
};
constexpr Shape kPeerShare{"peer_share", kPeerShareFields};

constexpr std::array kPeerFields{
    Field{"id", text, required, "the peer id: p and 56 characters"},
    Field{"endpoint", text, required, "address and port"},
    Field{"is_inbound", boolean, required, "the peer dialled us"},
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
constexpr Shape kPeer{"peer", kPeerFields};

constexpr std::array kPeerListFields{
    Field{"peers", list_of_objects, required, "the connected peers", &kPeer},
    Field{"count", integer, required, "how many there are in all"},
};
constexpr Shape kPeerList{"peers", kPeerListFields};

constexpr std::array kDhtNodeFields{
    Field{"id", text, required, "the node id, 40 hex digits"},
    Field{"endpoint", text, required, "address and port"},
    Field{"shared_bits", integer, required, "leading bits that its id shares with ours"},
};
constexpr Shape kDhtNode{"dht_node", kDhtNodeFields};

constexpr std::array kDhtBucketFields{
    Field{"shared_bits", integer, required, "leading bits that these ids share with ours"},
    Field{"nodes_count", integer, required, "nodes"},
};
constexpr Shape kDhtBucket{"dht_bucket", kDhtBucketFields};

constexpr std::array kDhtStatsFields{
    Field{"dht", object, required, "as dht.status gives it", &kDht},
    Field{"address", text, nullable, "our address, as enough others see it"},
    Field{"estimate", integer, nullable, "nodes of the whole network, estimated"},
    Field{"items_stored", integer, required, "items (BEP 44) that others put here"},
    Field{"buckets", list_of_objects, required, "the table by distance, farthest first",
          &kDhtBucket},
    Field{"nodes", list_of_objects, required, "nodes in the table, the best first, at most 200",
          &kDhtNode},
};
constexpr Shape kDhtStats{"dht_stats", kDhtStatsFields};

constexpr std::array kDhtStepFields{
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
constexpr Shape kDhtStep{"dht_step", kDhtStepFields};

constexpr Field kAskedField{"nodes_asked", integer, required, "DHT nodes that were asked"};
constexpr Field kAnsweredField{"nodes_answered", integer, required,
                               "of these, those that answered"};
constexpr Field kTookField{"took", number, required, "seconds"};
constexpr Field kStepsField{"steps", list_of_objects, required,
                            "with `trace`: what became of each query, in the order of the outcomes",
                            &kDhtStep};
constexpr std::array kDhtLookupFields{
    Field{"key", text, required, "40 hex digits"},
    Field{"peers", list_of_text, required, "addresses and ports, as they came"},
    kAskedField,
    kAnsweredField,
    kTookField,
    kStepsField,
};
constexpr Shape kDhtLookup{"dht_lookup", kDhtLookupFields};

constexpr std::array kDhtAnnouncedFields{
    Field{"key", text, required, "40 hex digits"},
    Field{"port", integer, required, "what was announced"},
    Field{"stored", integer, required, "nodes that have confirmed it"},
    kAskedField,
    kAnsweredField,
    kTookField,
    kStepsField,
};
constexpr Shape kDhtAnnounced{"dht_announced", kDhtAnnouncedFields};

constexpr Field kTargetField{"target", text, required, "what it is found by, 40 hex digits"};
constexpr Field kPublicKeyField{"public_key", text, nullable,
                                "who signs a mutable item, 64 hex digits"};
constexpr Field kSeqField{"seq", integer, nullable, "the sequence number of a mutable item"};
constexpr std::array kDhtItemFields{
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
constexpr Shape kDhtItem{"dht_item", kDhtItemFields};

constexpr std::array kDhtStoredFields{
    kTargetField,
    kPublicKeyField,
    kSeqField,
    Field{"stored", integer, required, "nodes that have confirmed it"},
    Field{"refused", integer, required, "nodes that answered with an error"},
    kAskedField,
    kAnsweredField,
    kTookField,
};
constexpr Shape kDhtStored{"dht_stored", kDhtStoredFields};

constexpr std::array kDhtPingedFields{
    Field{"endpoint", text, required, "the address and port that answered"},
    Field{"id", text, required, "its node id, 40 hex digits"},
    kTookField,
};
constexpr Shape kDhtPinged{"dht_pinged", kDhtPingedFields};

constexpr std::array kIdentityFields{
    Field{"id", text, required, "the peer id: p and 56 characters"},
    Field{"name", text, required, "identity.name of the config; may be empty"},
};
constexpr Shape kIdentity{"identity", kIdentityFields};

constexpr std::array kSubscribedFields{
    Field{"seq", integer, required, "the number of the newest event"},
    Field{"is_lost", boolean, required,
          "events after `since` are no longer there (or the daemon was started anew since then)"},
    Field{"kinds", list_of_text, required, "what will be sent"},
};
constexpr Shape kSubscribed{"subscribed", kSubscribedFields};

constexpr Shape kEmpty{"empty", {}};
constexpr Shape kOpenRpc{"openrpc", {}};

constexpr std::array kWhyFields{
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
constexpr Shape kWhy{"why", kWhyFields};

// ---- Shapes of events ----

constexpr std::array kImportProgressFields{
    Field{"path", text, required, "as given to share.add"},
    Field{"done", integer, required, "bytes hashed"},
    Field{"total", integer, required, "bytes in all"},
    Field{"rate", integer, required, "bytes a second, from the start"},
};
constexpr Shape kImportProgress{"import_progress", kImportProgressFields};
constexpr std::array kImportedFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"path", text, required, "where it stands"},
    Field{"was_known", boolean, required, "the same share was there already"},
    Field{"left_out_count", integer, required, "things that are not in the share"},
};
constexpr Shape kImported{"imported", kImportedFields};
constexpr std::array kImportFailedFields{
    Field{"path", text, required, "as given to share.add"},
    Field{"error", object, required, "why", &kError},
};
constexpr Shape kImportFailed{"import_failed", kImportFailedFields};
constexpr std::array kManifestFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"size", integer, nullable, "bytes"},
    Field{"files_count", integer, required, "files"},
};
constexpr Shape kManifest{"manifest", kManifestFields};
constexpr std::array kProgressFields{
    Field{"share", object, required, "as share.status gives it", &kShare},
};
constexpr Shape kProgress{"progress", kProgressFields};
constexpr std::array kCompletedFields{
    Field{"id", text, required, "the share id"},
    Field{"name", text, required, "the share's name"},
    Field{"path", text, nullable, "where it stands"},
};
constexpr Shape kCompleted{"completed", kCompletedFields};
constexpr std::array kDurableFields{
    Field{"id", text, required, "the share id"},
    Field{"bytes", integer, required, "what a crash cannot take back any more"},
};
constexpr Shape kDurable{"durable", kDurableFields};
constexpr std::array kStateFields{
    Field{"id", text, required, "the share id"},
    Field{"state", text, required, "as in share.status"},
    Field{"reason", text, required, "why; may be empty"},
    Field{"error", object, nullable, "what stopped a failed share", &kError},
};
constexpr Shape kState{"state", kStateFields};
constexpr std::array kRemovedFields{
    Field{"id", text, required, "the share id"},
    Field{"error", object, nullable, "what of it could not be removed", &kError},
};
constexpr Shape kRemoved{"removed", kRemovedFields};
constexpr std::array kPeerJoinedFields{
    Field{"peer", text, required, "the peer id"},
    Field{"endpoint", text, required, "address and port"},
};
constexpr Shape kPeerJoined{"peer_joined", kPeerJoinedFields};
constexpr std::array kPeerGoneFields{
    Field{"peer", text, required, "the peer id"},
    Field{"endpoint", text, required, "address and port"},
    Field{"reason", text, required, "why"},
};
constexpr Shape kPeerGone{"peer_gone", kPeerGoneFields};

constexpr std::array<EventRow, kEventKindsCount> kEvents{
    EventRow{EventKind::import_progress, "import_progress", "share.add reads and hashes",
             &kImportProgress, false},
    EventRow{EventKind::imported, "imported", "share.add has ended well", &kImported},
    EventRow{EventKind::import_failed, "import_failed", "share.add has failed", &kImportFailed},
    EventRow{EventKind::manifest, "manifest", "it is known now what a share contains", &kManifest},
    EventRow{EventKind::progress, "progress",
             "each 500 ms for every share in which something moved", &kProgress, false},
    EventRow{EventKind::completed, "completed",
             "every piece is verified and durable, and the share stands at its place", &kCompleted},
    EventRow{EventKind::durable, "durable", "pieces are safely on disk", &kDurable, false},
    EventRow{EventKind::state, "state", "a share is in another state", &kState},
    EventRow{EventKind::removed, "removed", "a share is gone", &kRemoved},
    EventRow{EventKind::peer_joined, "peer_joined", "a peer is connected", &kPeerJoined},
    EventRow{EventKind::peer_left, "peer_left", "a peer is not connected any more", &kPeerGone},
    EventRow{EventKind::peer_banned, "peer_banned", "a peer sent wrong data", &kPeerGone},
};

// ---- Parameters ----

constexpr std::string_view kIdDoc = "a share id, or 8 or more of its first characters";

constexpr std::array kIdParams{Field{"id", text, required, kIdDoc}};
constexpr std::array kRemoveParams{
    Field{"id", text, required, kIdDoc},
    Field{"delete_data", boolean, optional, "delete the share's files too; false by default"},
};
constexpr std::array kAddParams{
    Field{"path", text, required, "absolute path of a file or a directory"},
    Field{"piece_length", integer, optional,
          "bytes, a power of two from 16384 to 16777216; by default it grows with the size",
          nullptr, 16'384, 16'777'216},
    Field{"allow_unportable", boolean, optional,
          "share names that some systems cannot hold; false by default"},
};
constexpr std::array kFetchParams{
    Field{"link", text, required, "peernet:s...?dn=...&xl=...&pe=..., or the share id alone"},
    Field{"directory", text, optional, "absolute path; by default the downloads directory"},
    Field{"allow_unportable", boolean, optional,
          "accept names that some systems cannot hold; false by default"},
};
constexpr std::array kPageParams{
    Field{"offset", integer, optional, "how many to leave out first; 0 by default"},
    Field{"limit", integer, optional, "how many at most; 1000 by default", nullptr, 1, 1000},
};
constexpr std::array kFilesParams{
    Field{"id", text, required, kIdDoc},
    kPageParams[0],
    kPageParams[1],
};
constexpr std::array kPeersParams{
    Field{"id", text, optional, "only peers of this share"},
    kPageParams[0],
    kPageParams[1],
};
constexpr std::string_view kKeyDoc = "a key of the DHT, 40 hex digits";
constexpr Field kTraceParam{"trace", boolean, optional,
                            "tell what became of each query; false by default"};
constexpr std::array kDhtLookupParams{Field{"key", text, required, kKeyDoc}, kTraceParam};
constexpr std::array kDhtAnnounceParams{
    Field{"key", text, required, kKeyDoc},
    Field{"port", integer, required, "where peers are to connect", nullptr, 1, 65'535},
    kTraceParam,
};
constexpr Field kSaltParam{"salt", text, optional, "of a mutable item, at most 64 bytes"};
constexpr std::array kDhtGetParams{
    Field{"target", text, optional, "40 hex digits; this or public_key"},
    Field{"public_key", text, optional, "who signs a mutable item, 64 hex digits"},
    kSaltParam,
};
constexpr std::array kDhtPutParams{
    Field{"text", text, optional, "the value, stored as a byte string; this or value"},
    Field{"value", text, optional, "one bencoded value as hex digits, at most 1000 bytes"},
    Field{"seed", text, optional,
          "makes a mutable item: the Ed25519 private key of RFC 8032, 64 hex digits"},
    kSaltParam,
    Field{"seq", integer, optional, "the sequence number; by default now, in seconds since 1970"},
    Field{"cas", integer, optional, "store it only where this sequence number is stored now"},
};
constexpr std::array kDhtPingParams{
    Field{"endpoint", text, required, "HOST:PORT; the host may be a name"},
};
constexpr std::array kSubscribeParams{
    Field{"kinds", list_of_text, optional, "which events; all by default"},
    Field{"since", integer, optional, "send the kept events after this number first"},
};

// ---- Errors ----

constexpr std::array kConfigErrors{Errc::malformed, Errc::refused, Errc::too_large,
                                   Errc::not_found, Errc::denied,  Errc::io};
constexpr std::array kFindErrors{Errc::not_found, Errc::malformed};
constexpr std::array kAddErrors{Errc::malformed, Errc::not_found, Errc::denied,
                                Errc::refused,   Errc::too_large, Errc::corrupt,
                                Errc::cancelled, Errc::no_space,  Errc::io};
constexpr std::array kFetchErrors{Errc::malformed, Errc::refused, Errc::too_large, Errc::exists};
constexpr std::array kRemoveErrors{Errc::not_found, Errc::malformed, Errc::denied, Errc::io};
constexpr std::array kFilesErrors{Errc::not_found, Errc::malformed, Errc::unavailable};

constexpr std::array kDhtErrors{Errc::malformed, Errc::refused, Errc::unavailable, Errc::timed_out};
constexpr std::array kDhtGetErrors{Errc::malformed, Errc::not_found, Errc::refused,
                                   Errc::unavailable, Errc::timed_out};
constexpr std::array kDhtPutErrors{Errc::malformed, Errc::too_large, Errc::refused,
                                   Errc::unavailable, Errc::timed_out};

constexpr std::array kMethods{
    Method{MethodName::daemon_status, "daemon.status", "How this node is.", {}, &kStatus, {}},
    Method{MethodName::daemon_config,
           "daemon.config",
           "The effective config and the paths.",
           {},
           &kConfig,
           {}},
    Method{MethodName::daemon_shutdown,
           "daemon.shutdown",
           "Stops the daemon cleanly; the connection closes when it is done.",
           {},
           &kEmpty,
           {}},
    Method{MethodName::share_add, "share.add",
           "Shares a file or a directory where it stands. Answered when it is hashed; cancelled if "
           "the client goes away before.",
           kAddParams, &kAdded, kAddErrors},
    Method{MethodName::share_fetch, "share.fetch",
           "Fetches what a link names. Answered at once; what comes of it are events. A share that "
           "is known already goes on.",
           kFetchParams, &kId, kFetchErrors},
    Method{MethodName::share_list, "share.list", "All shares.", kPageParams, &kShareList, {}},
    Method{MethodName::share_status, "share.status", "One share.", kIdParams, &kShare, kFindErrors},
    Method{MethodName::share_files, "share.files", "The files of a share.", kFilesParams, &kFiles,
           kFilesErrors},
    Method{MethodName::share_pause, "share.pause", "Neither fetches nor serves it any more.",
           kIdParams, &kShare, kFindErrors},
    Method{MethodName::share_resume, "share.resume",
           "Goes on with a paused share; tries a failed one again.", kIdParams, &kShare,
           kFindErrors},
    Method{MethodName::share_remove, "share.remove",
           "Forgets a share. Answered when nothing works on its files any more.", kRemoveParams,
           &kId, kRemoveErrors},
    Method{MethodName::share_link, "share.link", "The link of a share.", kIdParams, &kLink,
           kFindErrors},
    Method{MethodName::transfer_why, "transfer.why",
           "Why a share is not further: the cause, and the facts behind it. It never guesses.",
           kIdParams, &kWhy, kFindErrors},
    Method{MethodName::config_check, "config.check",
           "Is this a valid config, and in what does it differ from the running one?",
           kConfigCheckParams, &kConfigCheck, kConfigErrors},
    Method{MethodName::config_edit, "config.edit",
           "The text of a config file with another value for one key; the rest of the text, "
           "comments included, stays. Nothing is written.",
           kConfigEditParams, &kConfigEdit, kConfigErrors},
    Method{MethodName::config_reload,
           "config.reload",
           "Reads the config file again, as SIGHUP does.",
           {},
           &kConfigReload,
           kConfigErrors},
    Method{MethodName::limit_show, "limit.show", "The rate limits that count now.",
           kLimitShowParams, &kLimit, kFindErrors},
    Method{MethodName::limit_set, "limit.set",
           "Other rate limits from now on, of the node or of one share; the config stays.",
           kLimitSetParams, &kLimit, kFindErrors},
    Method{MethodName::metrics_get, "metrics.get", "Counters and gauges.", {}, &kMetrics, {}},
    Method{MethodName::node_doctor,
           "node.doctor",
           "What the node can check of itself.",
           {},
           &kDoctor,
           {}},
    Method{MethodName::peer_list, "peer.list", "The connected peers.", kPeersParams, &kPeerList,
           kFindErrors},
    Method{MethodName::dht_status, "dht.status", "The DHT.", {}, &kDht, {}},
    Method{MethodName::dht_stats,
           "dht.stats",
           "The DHT with its table and stores.",
           {},
           &kDhtStats,
           {}},
    Method{MethodName::dht_lookup, "dht.lookup",
           "Peers under a raw key. Answered when the whole lookup has ended.", kDhtLookupParams,
           &kDhtLookup, kDhtErrors},
    Method{MethodName::dht_announce, "dht.announce",
           "Announces a port of this machine under a raw key, once. It lasts about half an hour.",
           kDhtAnnounceParams, &kDhtAnnounced, kDhtErrors},
    Method{MethodName::dht_get, "dht.get", "An item (BEP 44).", kDhtGetParams, &kDhtItem,
           kDhtGetErrors},
    Method{MethodName::dht_put, "dht.put",
           "Stores an item (BEP 44), once: immutable, or with a seed mutable.", kDhtPutParams,
           &kDhtStored, kDhtPutErrors},
    Method{MethodName::dht_ping, "dht.ping", "Is a DHT node there?", kDhtPingParams, &kDhtPinged,
           kDhtGetErrors},
    Method{MethodName::identity_show, "identity.show", "Who this node is.", {}, &kIdentity, {}},
    Method{
        MethodName::events_subscribe,
        "events.subscribe",
        "Sends events on this connection from now on, each as a notification \"event\". Replaces "
        "an earlier subscription.",
        kSubscribeParams,
        &kSubscribed,
        {}},
    Method{MethodName::events_unsubscribe,
           "events.unsubscribe",
           "Sends no more events.",
           {},
           &kEmpty,
           {}},
    Method{MethodName::rpc_discover,
           "rpc.discover",
           "This description, as an OpenRPC document.",
           {},
           &kOpenRpc,
           {}},
};

}  // namespace

std::span<const Method> methods() {
  return kMethods;
}

std::span<const EventRow> event_rows() {
  return kEvents;
}

}  // namespace peernet::daemon
