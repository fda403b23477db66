#include "daemon/rpc_table.h"

#include <array>

#include "core/identity.h"
#include "daemon/rpc_shapes.h"
#include "daemon/rpc_table_face.h"
#include "daemon/rpc_table_peers.h"
#include "daemon/rpc_table_why.h"

namespace peernet::daemon {
namespace {

using enum FieldType;
using enum Presence;
using namespace rpc_shapes;  // NOLINT(google-build-using-namespace)

// ---- Events ----

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
    EventRow{EventKind::durable, "durable", "more is safely on disk", &kDurable, false},
    EventRow{EventKind::state, "state", "a share is in another state", &kState},
    EventRow{EventKind::removed, "removed", "a share is gone", &kRemoved},
    EventRow{EventKind::peer_joined, "peer_joined", "a peer is connected", &kPeerJoined},
    EventRow{EventKind::peer_left, "peer_left", "a peer is not connected any more", &kPeerGone},
    EventRow{EventKind::peer_banned, "peer_banned", "a peer sent wrong data", &kPeerGone},
    EventRow{EventKind::verify_progress, "verify_progress", "share.verify reads and hashes",
             &kVerifyProgress, false},
    EventRow{EventKind::verified, "verified", "share.verify has ended", &kVerifiedEvent},
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
    Field{"exclude", list_of_text, optional,
          "globs of what is left out of a directory: without / of any name, with / of whole paths"},
};
constexpr Field kOnlyParam{"only", list_of_text, optional,
                           "globs of the files that are wanted; all by default. Of a share that is "
                           "here already: these too"};
constexpr Field kSkipParam{"skip", list_of_text, optional, "globs of files that these do not mean"};
constexpr std::array kFetchParams{
    Field{"link", text, required, "peernet:s...?dn=...&xl=...&pe=..., or the share id alone"},
    Field{"directory", text, optional, "absolute path; by default the downloads directory"},
    Field{"allow_unportable", boolean, optional,
          "accept names that some systems cannot hold; false by default"},
    Field{"sequential", boolean, optional,
          "pieces in their order, not the rarest first, until the daemon ends; left out: as it is"},
    kOnlyParam,
    kSkipParam,
};
constexpr std::array kPreviewParams{
    Field{"link", text, required, "as for share.fetch"},
    kOnlyParam,
    kSkipParam,
};
constexpr Field kFieldsParam{"fields", list_of_text, optional,
                             "only these members of the answer, or of its rows; all by default"};
constexpr std::array kPageParams{
    Field{"offset", integer, optional, "how many to leave out first; 0 by default"},
    Field{"limit", integer, optional, "how many at most; 1000 by default", nullptr, 1, 1000},
};
constexpr std::array kListParams{kPageParams[0], kPageParams[1], kFieldsParam};
constexpr std::array kStatusParams{kFieldsParam};
constexpr std::array kShareParams{Field{"id", text, required, kIdDoc}, kFieldsParam};
constexpr std::array kFilesParams{
    Field{"id", text, required, kIdDoc},
    kPageParams[0],
    kPageParams[1],
    kFieldsParam,
};
constexpr std::array kVerifyParams{
    Field{"id", text, required, kIdDoc},
    Field{"repair", boolean, optional,
          "fetch again, into its place, what is damaged; false by default"},
};
constexpr std::array kReadParams{
    Field{"id", text, required, kIdDoc},
    Field{"path", text, optional, "below the share's top; left out for a share of one file"},
    Field{"offset", integer, optional, "of the first byte wanted; 0 by default"},
    Field{"size", integer, optional, "bytes at most; 2097152 by default", nullptr, 1, 2'097'152},
};
constexpr std::array kPeersParams{
    Field{"id", text, optional, "only peers of this share"},
    kPageParams[0],
    kPageParams[1],
    kFieldsParam,
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
constexpr std::array kNetworkNewErrors{Errc::malformed, Errc::exists,   Errc::not_found,
                                       Errc::denied,    Errc::no_space, Errc::io};
constexpr std::array kFindErrors{Errc::not_found, Errc::malformed};
constexpr std::array kAcceptErrors{Errc::not_found, Errc::malformed, Errc::refused};
constexpr std::array kAddErrors{Errc::malformed, Errc::not_found, Errc::denied,
                                Errc::refused,   Errc::too_large, Errc::corrupt,
                                Errc::cancelled, Errc::no_space,  Errc::io};
constexpr std::array kFetchErrors{Errc::malformed, Errc::refused, Errc::too_large, Errc::exists};
constexpr std::array kRemoveErrors{Errc::not_found, Errc::malformed, Errc::denied, Errc::io};
constexpr std::array kFilesErrors{Errc::not_found, Errc::malformed, Errc::unavailable};

constexpr std::array kPreviewErrors{Errc::malformed, Errc::refused, Errc::too_large, Errc::corrupt};
constexpr std::array kVerifyErrors{Errc::not_found,   Errc::malformed, Errc::refused,
                                   Errc::unavailable, Errc::corrupt,   Errc::cancelled,
                                   Errc::no_space,    Errc::denied,    Errc::io};
constexpr std::array kReadErrors{Errc::not_found,   Errc::malformed, Errc::refused,
                                 Errc::unavailable, Errc::corrupt,   Errc::cancelled,
                                 Errc::no_space,    Errc::denied,    Errc::io};

constexpr std::array kDhtErrors{Errc::malformed, Errc::refused, Errc::unavailable, Errc::timed_out};
constexpr std::array kDhtGetErrors{Errc::malformed, Errc::not_found, Errc::refused,
                                   Errc::unavailable, Errc::timed_out};
constexpr std::array kDhtPutErrors{Errc::malformed, Errc::too_large, Errc::refused,
                                   Errc::unavailable, Errc::timed_out};

constexpr std::array kMethods{
    Method{MethodName::daemon_status,
           "daemon.status",
           "How this node is.",
           kStatusParams,
           &kStatus,
           {}},
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
    Method{MethodName::share_list, "share.list", "All shares.", kListParams, &kShareList, {}},
    Method{MethodName::share_status, "share.status", "One share.", kShareParams, &kShare,
           kFindErrors},
    Method{MethodName::share_files, "share.files", "The files of a share.", kFilesParams, &kFiles,
           kFilesErrors},
    Method{MethodName::share_pause, "share.pause", "Neither fetches nor serves it any more.",
           kIdParams, &kShare, kFindErrors},
    Method{MethodName::share_resume, "share.resume",
           "Goes on with a paused share; tries a failed one again.", kIdParams, &kShare,
           kFindErrors},
    Method{MethodName::share_accept, "share.accept",
           "Takes a share that hooks.scan has kept back as it is.", kIdParams, &kShare,
           kAcceptErrors},
    Method{MethodName::share_remove, "share.remove",
           "Forgets a share. Answered when nothing works on its files any more.", kRemoveParams,
           &kId, kRemoveErrors},
    Method{MethodName::share_link, "share.link", "The link of a share.", kIdParams, &kLink,
           kFindErrors},
    Method{
        MethodName::share_read, "share.read",
        "Verified bytes of a file, answered when the first of them is here, with as many as are. "
        "What follows them is fetched first. One at a time for each client.",
        kReadParams, &kRead, kReadErrors},
    Method{
        MethodName::share_verify, "share.verify",
        "Hashes again all that a share claims. Answered when that is done; cancelled if the client "
        "goes away before. What is damaged is neither served nor claimed from then on.",
        kVerifyParams, &kVerified, kVerifyErrors},
    Method{
        MethodName::share_preview, "share.preview",
        "Fetches the manifest that a link names and nothing else. Answered when it is here; it is "
        "forgotten when the client goes away, and nothing is written.",
        kPreviewParams, &kPreview, kPreviewErrors},
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
    Method{MethodName::network_new, "network.new",
           "Makes the key of a new private network in a new file that only this user can read.",
           kNetworkNewParams, &kNetworkNew, kNetworkNewErrors},
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
    Method{MethodName::peer_connect, "peer.connect",
           "Connects to one peer and tells each step of it, up to the one that failed. What it is "
           "asked for is a share, or all that are unfinished.",
           kPeerConnectParams, &kPeerConnected, kPeerErrors},
    Method{MethodName::peer_drop, "peer.drop", "Closes the connection; it may come again.",
           kPeerIdParams, &kPeerId, kPeerErrors},
    Method{MethodName::peer_ban, "peer.ban",
           "No connection with this peer from now on; a restart changes nothing about it.",
           kPeerBanParams, &kBan, kPeerErrors},
    Method{MethodName::peer_unban, "peer.unban", "Lifts a ban, whatever it was for.", kPeerIdParams,
           &kPeerId, kPeerErrors},
    Method{MethodName::peer_bans,
           "peer.bans",
           "The peers that are banned.",
           kPageParams,
           &kBanList,
           {}},
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
