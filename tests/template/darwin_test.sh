#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# template/darwin.sh against stand-ins of its system's commands: systems.sh tells how.

exec bash "$(dirname "$0")/systems.sh" --system darwin
