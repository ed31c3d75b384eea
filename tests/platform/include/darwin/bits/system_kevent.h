// SPDX-License-Identifier: BSD-3-Clause
// struct kevent of Darwin.
#pragma once
struct kevent {
  uintptr_t ident;
  int16_t filter;
  uint16_t flags;
  uint32_t fflags;
  intptr_t data;
  void* udata;
};
#define KEVENT_COUNT int
