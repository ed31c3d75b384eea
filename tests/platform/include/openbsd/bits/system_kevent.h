// SPDX-License-Identifier: BSD-3-Clause
// struct kevent of OpenBSD.
#pragma once
struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void* udata;
};
#define KEVENT_COUNT int
