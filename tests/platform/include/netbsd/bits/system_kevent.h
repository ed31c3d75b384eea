// SPDX-License-Identifier: BSD-3-Clause
// struct kevent of NetBSD 10.
#pragma once
struct kevent {
  uintptr_t ident;
  uint32_t filter;
  uint32_t flags;
  uint32_t fflags;
  int64_t data;
  void* udata;
};
#define KEVENT_COUNT size_t
