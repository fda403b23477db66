#pragma once

// peernetd(8), peernet-config(5) and peernet-rpc(7), made from the tables that the daemon works by.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace peernet::daemon {

using OptionRows = std::vector<std::pair<std::string, std::string>>;  // "--home DIR", what it does

std::string daemon_man_page(std::string_view version, const OptionRows& options);
std::string config_man_page(std::string_view version);
std::string rpc_man_page(std::string_view version);

}  // namespace peernet::daemon
