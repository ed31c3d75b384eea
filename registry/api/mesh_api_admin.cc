// SPDX-License-Identifier: BSD-3-Clause
// What administrators ask of the mesh's API.
#include "registry/api/mesh_api_call.h"
#include "registry/ca/reports.h"
#include "registry/mail/email_address.h"

namespace sixlink::registry {

HttpResponse MeshApi::admin_nodes(Call& call) {
  auto nodes = contacts_.nodes(call.at.wall);
  if (!nodes) return refuse(call, nodes.refusal());
  for (const char* key : {"email", "name"}) {
    const auto found = call.query.find(key);
    if (found != call.query.end()) *nodes = matching(*nodes, found->second);
  }
  return call.answer(nodes_report(*nodes));
}

HttpResponse MeshApi::admin_addresses(Call& call) {
  const auto who = call.query.find("who");
  if (who == call.query.end() || who->second.empty())
    return refuse(call, {RefusalCode::kBadRequest, "whose addresses?", "add ?who=NAME or an e-mail address"});
  const auto nodes = contacts_.nodes(call.at.wall);
  if (!nodes) return refuse(call, nodes.refusal());
  return call.answer(addresses_report(matching(*nodes, who->second)));
}

HttpResponse MeshApi::admin_tokens(Call& call) {
  const auto tokens = registrar_.tokens(call.at.wall);
  if (!tokens) return refuse(call, tokens.refusal());
  boost::json::array all;
  for (const auto& token : *tokens) all.push_back(to_json(token));
  return call.answer({{"tokens", std::move(all)}});
}

HttpResponse MeshApi::admin_make_token(Call& call) {
  TokenRequest request;
  const auto length = call.whole("prefix_length");
  const auto expires = call.whole("expires_in");
  request.email = call.text("email");
  if ((length && (*length < 1 || *length > 128)) || (expires && (*expires < 1 || *expires > 366LL * 86400)) ||
      (!request.email.empty() && !is_email_address(request.email)))
    return refuse(call, {RefusalCode::kBadRequest, "prefix_length, expires_in or email is not usable",
                         "see openapi.yaml"});
  request.prefix_length = static_cast<int>(length.value_or(0));
  request.lifetime = std::chrono::seconds(expires.value_or(0));
  const auto token = registrar_.make_token(request, call.at.wall);
  if (!token) return refuse(call, token.refusal());
  log_.info("administrator {} made the token {}", call.administrator, token->id);
  auto object = to_json(*token);
  object["line"] = registrar_.join_line(token->token, call.at.wall);
  return call.answer(object, 201);
}

HttpResponse MeshApi::admin_delete_token(Call& call) {
  const auto token = registrar_.delete_token(call.rest, call.at.wall);
  if (!token) return refuse(call, token.refusal());
  log_.info("administrator {} took the token {} back", call.administrator, token->id);
  return call.answer(to_json(*token));
}

HttpResponse MeshApi::admin_revoke(Call& call) {
  const auto revoked = registrar_.revoke(call.text("who"), call.at.wall);
  if (!revoked) return refuse(call, revoked.refusal());
  log_.warn("administrator {} revoked {}", call.administrator, revoked->node.to_string());
  on_parameters();
  return call.answer(to_json(*revoked));
}

HttpResponse MeshApi::admin_versions(Call& call) {
  const auto nodes = contacts_.nodes(call.at.wall);
  if (!nodes) return refuse(call, nodes.refusal());
  return call.answer(versions_report(*nodes, registrar_.parameters().version));
}

HttpResponse MeshApi::admin_topology(Call& call) {
  const auto nodes = contacts_.nodes(call.at.wall);
  if (!nodes) return refuse(call, nodes.refusal());
  const auto format = call.query.find("format");
  if (format != call.query.end() && format->second == "dot")
    return {200, topology_dot(*nodes), "text/vnd.graphviz", std::chrono::seconds(0)};
  return call.answer(topology_report(*nodes));
}

}  // namespace sixlink::registry
