// SPDX-License-Identifier: BSD-3-Clause
#include "registry/mesh_commands.h"

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <iomanip>
#include <ostream>

#include "registry/ca/contact_directory.h"
#include "registry/ca/reports.h"
#include "registry/config.h"
#include "registry/mail/email_address.h"
#include "registry/mesh_settings.h"
#include "src/config/small_file.h"
#include "src/control/control_socket.h"

namespace sixlink::registry {
namespace {

namespace json = boost::json;

constexpr std::chrono::hours kIssueAfter{24};
constexpr std::chrono::hours kAdministratorLifetime{24 * 365};

std::string date(std::int64_t seconds) {
  const auto clock = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&clock, &parts) == nullptr) return "-";
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts));
}

// Columns as wide as what is in them.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) { add(std::move(heading)); }
  void add(std::vector<std::string> row) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
    rows_.push_back(std::move(row));
  }
  void print(std::ostream& out) const {
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += row[i];
        if (i + 1 < row.size()) line.append(widths_[i] - row[i].size() + 2, ' ');
      }
      out << line << "\n";
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

class MeshCommand {
 public:
  MeshCommand(const Options& options, const Config& config, Registrar& registrar, std::ostream& out,
              std::ostream& err)
      : options_(options),
        config_(config),
        registrar_(registrar),
        contacts_(registrar),
        out_(out),
        err_(err) {}

  int run() {
    switch (options_.command) {
      case Command::kTokenNew:
        return new_token();
      case Command::kTokenList:
        return list_tokens();
      case Command::kTokenDelete:
        return delete_token();
      case Command::kNodes:
      case Command::kVersions:
      case Command::kAddresses:
      case Command::kTopology:
        return list_nodes();
      case Command::kRevoke:
        return revoke();
      case Command::kCaList:
        return list_authorities();
      case Command::kCaRoll:
        return roll();
      case Command::kCaRetire:
        return retire();
      case Command::kAdminNew:
        return new_administrator();
      case Command::kAdminList:
        return list_administrators();
      default:
        return revoke_administrator();
    }
  }

 private:
  int complain(const std::string& text) {
    err_ << "sixlink-registry: " << text << "\n";
    return kExitFailure;
  }
  int complain(const Refusal& refusal) {
    const auto why = refusal.code == RefusalCode::kInternal && !registrar_.last_problem().empty()
                         ? " (" + registrar_.last_problem() + ")"
                         : std::string();
    return complain(refusal.message + why + "; " + refusal.hint);
  }
  int print(const json::object& object) {
    out_ << json::serialize(object) << "\n";
    return kExitOk;
  }
  // A server that runs looks within a second anyway.
  void tell_server() { static_cast<void>(control::ask_daemon(config_.control_path(), kMeshChanged)); }

  int new_token() {
    if (!options_.email.empty() && !is_email_address(options_.email))
      return complain(options_.email + " is not an e-mail address");
    const TokenRequest request{options_.prefix_length, options_.lifetime.value_or(std::chrono::seconds(0)),
                               options_.email};
    const auto token = registrar_.make_token(request, now_);
    if (!token) return complain(token.refusal());
    const auto line = registrar_.join_line(token->token, now_);
    if (!options_.json) {
      out_ << line << "\n";
      return kExitOk;
    }
    auto object = to_json(*token);
    object["line"] = line;
    return print(object);
  }

  int list_tokens() {
    const auto tokens = registrar_.tokens(now_);
    if (!tokens) return complain(tokens.refusal());
    json::array all;
    Table table({"ID", "PREFIX", "MADE (UTC)", "EXPIRES (UTC)", "FOR"});
    for (const auto& token : *tokens) {
      all.push_back(to_json(token));
      table.add({token.id, "/" + std::to_string(token.prefix_length), date(token.created),
                 date(token.expires), or_dash(token.email)});
    }
    if (options_.json) return print({{"tokens", std::move(all)}});
    table.print(out_);
    return kExitOk;
  }

  int delete_token() {
    const auto token = registrar_.delete_token(options_.user_name, now_);
    if (!token) return complain(token.refusal());
    out_ << "the token " << token->id << " is of no use any more\n";
    return kExitOk;
  }

  int list_nodes() {
    auto nodes = contacts_.nodes(now_);
    if (!nodes) return complain(nodes.refusal());
    if (options_.command == Command::kTopology) {
      if (options_.json) return print(topology_report(*nodes));
      if (options_.dot) {
        out_ << topology_dot(*nodes);
        return kExitOk;
      }
      return print_links(*nodes);
    }
    if (options_.command == Command::kVersions) {
      const auto version = registrar_.parameters().version;
      if (options_.json) return print(versions_report(*nodes, version));
      out_ << "The network's parameters have the version " << version << ".\n";
      Table table({"NODE", "SOFTWARE", "PARAMETERS"});
      for (const auto& node : *nodes) {
        if (!node.software.empty())
          table.add({node.prefix.to_string(), node.software, std::to_string(node.parameters)});
      }
      table.print(out_);
      return kExitOk;
    }
    if (options_.command == Command::kAddresses) {
      *nodes = matching(*nodes, options_.user_name);
      if (options_.json) return print(addresses_report(*nodes));
      if (nodes->empty()) return complain("no node has the e-mail address or name " + options_.user_name);
      const auto report = addresses_report(*nodes);
      for (const auto& value : report.at("addresses").get_array())
        out_ << std::string_view(value.at("address").get_string()) << "\n";
      return kExitOk;
    }
    if (options_.json) return print(nodes_report(*nodes));
    Table table({"NODE", "IPV4", "STATE", "SERIAL", "EXPIRES (UTC)", "LAST SEEN (UTC)", "NAME", "E-MAIL"});
    for (const auto& node : *nodes) {
      table.add({node.prefix.to_string(), or_dash(node.prefix_v4), to_string(node.state), node.serial,
                 date(node.expires), node.last_seen ? date(*node.last_seen) : "-", or_dash(node.subject),
                 or_dash(node.email)});
    }
    table.print(out_);
    return kExitOk;
  }

  int print_links(const std::vector<ListedNode>& nodes) {
    Table table({"NODE", "NODE", "RTT (ms)"});
    const auto report = topology_report(nodes);
    for (const auto& value : report.at("links").get_array()) {
      const auto& link = value.get_object();
      const auto* rtt = link.if_contains("rtt_us");
      std::string milliseconds = "-";
      if (rtt && rtt->is_int64()) {
        const auto tenths = (rtt->get_int64() + 50) / 100;
        milliseconds = std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
      }
      table.add(
          {std::string(link.at("a").get_string()), std::string(link.at("b").get_string()), milliseconds});
    }
    table.print(out_);
    return kExitOk;
  }

  int revoke() {
    const auto revoked = registrar_.revoke(options_.user_name, now_);
    if (!revoked) return complain(revoked.refusal());
    tell_server();
    if (options_.json) return print(to_json(*revoked));
    out_ << "revoked " << revoked->node.to_string() << ":";
    for (const auto& serial : revoked->serials) out_ << " " << serial;
    out_ << "; version " << revoked->version << " of the network's parameters says so\n";
    return kExitOk;
  }

  int list_authorities() {
    const auto report = authorities_report(registrar_.authorities(), now_);
    if (options_.json) return print(report);
    Table table({"FINGERPRINT", "EXPIRES (UTC)", "ISSUES FROM (UTC)", "STATE", "NAME"});
    for (const auto& value : report.at("authorities").get_array()) {
      const auto& one = value.get_object();
      const auto is = [&](const char* key) { return one.at(key).get_bool(); };
      std::string state = is("retired") ? "retired" : is("root") ? "root" : "next";
      if (is("issuer")) state += ", issuer";
      if (!is("key_here")) state += ", key not here";
      table.add({std::string(one.at("fingerprint").get_string()), date(one.at("expires").get_int64()),
                 date(one.at("issues_from").get_int64()), state, std::string(one.at("name").get_string())});
    }
    table.print(out_);
    return kExitOk;
  }

  int roll() {
    const auto issues_from = now_ + options_.after.value_or(kIssueAfter);
    const auto made =
        registrar_.roll(options_.name.empty() ? "sixlink mesh" : options_.name, issues_from, now_);
    if (!made) return complain(made.refusal());
    tell_server();
    out_ << "the next authority is " << made->fingerprint() << "\nNodes are told of it now; it issues "
         << "certificates from " << date(seconds_of(issues_from))
         << " (UTC) on.\nWhen all nodes have renewed theirs: sixlink-registry ca retire OLD-FINGERPRINT\n";
    return kExitOk;
  }

  int retire() {
    const auto retired = registrar_.retire(options_.user_name, now_);
    if (!retired) return complain(retired.refusal());
    tell_server();
    out_ << *retired << " is retired: what it issued is not believed any more\n";
    return kExitOk;
  }

  int new_administrator() {
    const auto& name = options_.user_name;
    if (name.find_first_of("/\\") != std::string::npos || name.front() == '.')
      return complain(
          "an administrator's name is the name of a file, too: it has no \"/\", and begins with no \".\"");
    const auto made = registrar_.make_administrator(
        name, options_.lifetime.value_or(std::chrono::seconds(kAdministratorLifetime)), now_);
    if (!made) return complain(made.refusal());
    const auto* root = registrar_.authorities().root(now_);
    const auto path = options_.out + "/" + name;
    auto error =
        config::write_small_file(path + ".key", made->identity->key_pem.reveal(), config::Existing::kKeep);
    if (!error)
      error =
          config::write_small_file(path + ".pem", made->identity->certificate_pem, config::Existing::kKeep);
    if (error) {
      static_cast<void>(registrar_.revoke_administrator(made->fingerprint, now_));
      return complain("cannot write " + path + ".key and .pem: " + error.message());
    }
    out_ << "written: " << path << ".key and " << path << ".pem, good until " << date(made->expires)
         << " (UTC)\n";
    const auto ca = options_.out + "/ca.pem";
    if (root && !config::write_small_file(ca, root->certificate().to_pem(), config::Existing::kReplace))
      out_ << "To use it: curl --cacert " << ca << " --cert " << path << ".pem --key " << path << ".key "
           << (config_.mesh.urls.empty() ? "https://REGISTRY/" : config_.mesh.urls.front())
           << "v1/admin/nodes\n";
    return kExitOk;
  }

  int list_administrators() {
    const auto all = registrar_.administrators();
    if (!all) return complain(all.refusal());
    json::array list;
    Table table({"NAME", "MADE (UTC)", "EXPIRES (UTC)", "STATE", "FINGERPRINT"});
    for (const auto& one : *all) {
      const auto* state = one.is_revoked ? "revoked" : one.expires <= seconds_of(now_) ? "expired" : "good";
      table.add({one.name, date(one.created), date(one.expires), state, one.fingerprint});
      list.push_back({{"name", one.name},
                      {"created", one.created},
                      {"expires", one.expires},
                      {"state", state},
                      {"fingerprint", one.fingerprint}});
    }
    if (options_.json) return print({{"administrators", std::move(list)}});
    table.print(out_);
    return kExitOk;
  }

  int revoke_administrator() {
    const auto count = registrar_.revoke_administrator(options_.user_name, now_);
    if (!count) return complain(count.refusal());
    out_ << *count << " certificate" << (*count == 1 ? "" : "s") << " of " << options_.user_name
         << " revoked\n";
    return kExitOk;
  }

  const Options& options_;
  const Config& config_;
  Registrar& registrar_;
  ContactDirectory contacts_;
  std::ostream& out_;
  std::ostream& err_;
  const WallTime now_ = std::chrono::system_clock::now();
};

}  // namespace

int run_mesh_command(const Options& options, std::ostream& out, std::ostream& err) {
  const auto complain = [&](const std::string& text) { err << "sixlink-registry: " << text << "\n"; };
  const auto loaded = load_config(options.config_file);
  for (const auto& problem : loaded.problems) complain(config::to_string(options.config_file, problem));
  if (!loaded.config) return kExitBadConfiguration;
  if (!loaded.config->mesh.network) {
    complain("this registry has no mesh: there is no network= in " + options.config_file);
    return kExitBadConfiguration;
  }
  auto opened = open_database(loaded.config->mesh_database());
  if (!opened.database) {
    complain(opened.problem);
    return kExitFailure;
  }
  Registrar registrar(*opened.database, registrar_settings(*loaded.config));
  if (const auto problem = registrar.open(std::chrono::system_clock::now()); !problem.empty()) {
    complain(problem);
    return kExitFailure;
  }
  return MeshCommand(options, *loaded.config, registrar, out, err).run();
}

}  // namespace sixlink::registry
