#pragma once

// Parameters and answers of config.*, network.*, limit.*, metrics.get and node.doctor: a part of
// the table in daemon/rpc_table.cpp, which alone includes this.

#include <array>

#include "daemon/rpc_table.h"

namespace peernet::daemon {

inline constexpr std::array kConfigCheckParams{
    Field{"text", FieldType::text, Presence::required, "the text of a config file"},
};
inline constexpr std::array kConfigCheckFields{
    Field{"changed", FieldType::list_of_text, Presence::required,
          "keys whose value is not the one that counts now"},
    Field{"need_restart", FieldType::list_of_text, Presence::required,
          "of these, keys that a reload does not take over"},
};
inline constexpr Shape kConfigCheck{"config_check", kConfigCheckFields};

inline constexpr std::array kConfigEditParams{
    Field{"text", FieldType::text, Presence::required, "the text of a config file, or nothing"},
    Field{"key", FieldType::text, Presence::required, "such as limits.up"},
    Field{"value", FieldType::text, Presence::required, "JSON, or else taken as text"},
};
inline constexpr std::array kConfigEditFields{
    Field{"text", FieldType::text, Presence::required, "the file with that value"},
    Field{"needs_restart", FieldType::boolean, Presence::required,
          "a reload does not take the key over"},
};
inline constexpr Shape kConfigEdit{"config_edit", kConfigEditFields};

inline constexpr std::array kConfigReloadFields{
    Field{"taken_over", FieldType::list_of_text, Presence::required, "keys that count now"},
    Field{"need_restart", FieldType::list_of_text, Presence::required,
          "keys of the file that do not count before a restart"},
};
inline constexpr Shape kConfigReload{"config_reload", kConfigReloadFields};

inline constexpr std::array kNetworkNewParams{
    Field{"path", FieldType::text, Presence::required,
          "absolute; nothing may stand there, and its directory must"},
};
inline constexpr std::array kNetworkNewFields{
    Field{"path", FieldType::text, Presence::required, "where the key is"},
    Field{"network", FieldType::text, Presence::required,
          "the network's name, as status shows it on its members"},
};
inline constexpr Shape kNetworkNew{"network_new", kNetworkNewFields};

inline constexpr std::array kLimitShowParams{
    Field{"id", FieldType::text, Presence::optional, "a share; left out: the node"},
};
inline constexpr std::uint64_t kLimitSecondsMax = 366ULL * 86'400;
inline constexpr std::array kLimitSetParams{
    Field{"id", FieldType::text, Presence::optional, "a share; left out: the node"},
    Field{"down", FieldType::integer, Presence::optional, "bytes a second; 0: no limit", nullptr, 0,
          1ULL << 40U},
    Field{"up", FieldType::integer, Presence::optional, "bytes a second; 0: no limit", nullptr, 0,
          1ULL << 40U},
    Field{"seconds", FieldType::integer, Presence::optional,
          "after these what was before comes back; left out: until the daemon ends", nullptr, 1,
          kLimitSecondsMax},
};
inline constexpr std::array kLimitFields{
    Field{"id", FieldType::text, Presence::nullable, "the share; null: the node"},
    Field{"down", FieldType::integer, Presence::nullable, "bytes a second; null: no limit"},
    Field{"up", FieldType::integer, Presence::nullable, "bytes a second; null: no limit"},
    Field{"until", FieldType::time, Presence::nullable, "then what was before comes back"},
};
inline constexpr Shape kLimit{"limit", kLimitFields};

inline constexpr std::array kMetricFields{
    Field{"name", FieldType::text, Presence::required, "such as peernet_bytes_total"},
    Field{"labels", FieldType::text, Presence::required, "such as class=\"verified_in\", or empty"},
    Field{"type", FieldType::text, Presence::required, "counter or gauge"},
    Field{"help", FieldType::text, Presence::required, "what it counts"},
    Field{"value", FieldType::integer, Presence::required, "the number"},
};
inline constexpr Shape kMetric{"metric", kMetricFields};
inline constexpr std::array kMetricsFields{
    Field{"metrics", FieldType::list_of_objects, Presence::required, "all of them", &kMetric},
    Field{"text", FieldType::text, Presence::required, "the same in Prometheus' text format"},
};
inline constexpr Shape kMetrics{"metrics", kMetricsFields};

inline constexpr std::array kCheckFields{
    Field{"name", FieldType::text, Presence::required, "what is checked"},
    Field{"level", FieldType::text, Presence::required, "ok, warning or fault"},
    Field{"text", FieldType::text, Presence::required, "what was found"},
    Field{"fix", FieldType::text, Presence::required, "what to do about it; empty when ok"},
};
inline constexpr Shape kCheck{"check", kCheckFields};
inline constexpr std::array kDoctorFields{
    Field{"checks", FieldType::list_of_objects, Presence::required, "one by one", &kCheck},
    Field{"faults_count", FieldType::integer, Presence::required, "how many are faults"},
};
inline constexpr Shape kDoctor{"doctor", kDoctorFields};

}  // namespace peernet::daemon
