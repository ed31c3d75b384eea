// SPDX-License-Identifier: BSD-3-Clause
// ip(4): IP_DONTFRAG.
#pragma once
#include_next <netinet/in.h>
#define IP_DONTFRAG 67
