// SPDX-License-Identifier: BSD-3-Clause
// poll(4D).
#pragma once
#include <poll.h>
