// SPDX-License-Identifier: BSD-3-Clause
// What nodes and the registry say in signed documents: the texts, and what they are signed in.
#include "src/mesh/contact.h"

#include "src/mesh/parameters.h"
#include "src/pki/cms.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {

void contact(Input input) {
  const auto parsed = mesh::parse_contact(text_of(input));
  expect(parsed.contact.has_value() == parsed.problem.empty(), "a contact or a problem");
  if (parsed.contact) {
    const auto again = mesh::parse_contact(mesh::to_xml(*parsed.contact));
    expect(again.contact == parsed.contact, "a contact survives its text");
    expect(parsed.contact->endpoints.size() <= mesh::Contact::kMostEndpoints, "endpoints are bounded");
  }
  const auto parameters = mesh::parse_parameters(text_of(input));
  expect(parameters.parameters.has_value() == parameters.problem.empty(), "parameters or a problem");
  if (parameters.parameters)
    expect(mesh::parse_parameters(mesh::to_xml(*parameters.parameters)).parameters == parameters.parameters,
           "parameters survive their text");
  const auto opened = pki::open_signed(input);
  if (opened) expect(opened->text.size() <= input.size(), "a document is not longer than what it came in");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(contact)
