// SPDX-License-Identifier: BSD-3-Clause
// kqueue(2).
#pragma once
#include <bits/system_kevent.h>
#include <stdint.h>
#include <time.h>
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_CLEAR 0x0020
#define EV_ONESHOT 0x0010
#define EV_ERROR 0x4000
#define EV_EOF 0x8000
#define EV_OOBAND 0x2000
#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-11)
#define EV_SET(event, a, b, c, d, e, f) \
  do {                                  \
    struct kevent* kevent_ = (event);   \
    kevent_->ident = (a);               \
    kevent_->filter = (b);              \
    kevent_->flags = (c);               \
    kevent_->fflags = (d);              \
    kevent_->data = (e);                \
    kevent_->udata = (f);               \
  } while (0)
extern "C" int kqueue(void);
extern "C" int kevent(int, const struct kevent*, KEVENT_COUNT, struct kevent*, KEVENT_COUNT,
                      const struct timespec*);
