# SPDX-License-Identifier: BSD-3-Clause
"""A mail server for tests: python3 smtp_receiver.py ADDRESS PORT CERTIFICATE KEY USER PASSWORD

Takes mail after STARTTLS and login only, and prints it. A recipient "refused@..." it refuses.
"""

import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Print:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(f"mail from {envelope.mail_from} to {' '.join(envelope.rcpt_tos)}")
        print(envelope.content.decode("ascii", "replace").replace("\r\n", "\n"), flush=True)
        return "250 OK"


def main():
    address, port, certificate, key, user, password = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def check(server, session, envelope, mechanism, data):
        good = getattr(data, "login", b"") == user.encode() and data.password == password.encode()
        return AuthResult(success=good)

    Controller(
        Print(),
        hostname=address,
        port=int(port),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    ).start()
    print("receiving", flush=True)
    while True:
        time.sleep(3600)


main()
