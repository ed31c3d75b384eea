// SPDX-License-Identifier: BSD-3-Clause
// pthread(3): what Boost.Asio uses on Darwin.
#pragma once
#include_next <pthread.h>
extern "C" int pthread_cond_timedwait_relative_np(pthread_cond_t*, pthread_mutex_t*, const struct timespec*);
