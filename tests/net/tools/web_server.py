#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A web server of one IP version with one file: web_server.py ADDRESS PORT FILE. Streams it with sendfile()."""

import http.server
import os
import socket
import sys


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(self.server.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(file)

    def log_message(self, format, *args):
        print(self.client_address[0], format % args, flush=True)


def main():
    address, port, path = sys.argv[1:]
    Server.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, int(port)), Handler)
    server.path = path
    server.serve_forever()


main()
