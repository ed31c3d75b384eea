// SPDX-License-Identifier: BSD-3-Clause
// kstat_open(3KSTAT), kstat_lookup(3KSTAT), kstat_read(3KSTAT), kstat_data_lookup(3KSTAT).
#pragma once
#include <stdint.h>
typedef struct kstat_ctl kstat_ctl_t;
typedef struct kstat kstat_t;
typedef int kid_t;
typedef struct kstat_named {
  char name[31];
  unsigned char data_type;
  union {
    uint32_t ui32;
    uint64_t ui64;
  } value;
} kstat_named_t;
extern "C" kstat_ctl_t* kstat_open(void);
extern "C" int kstat_close(kstat_ctl_t*);
extern "C" kstat_t* kstat_lookup(kstat_ctl_t*, char*, int, char*);
extern "C" kid_t kstat_read(kstat_ctl_t*, kstat_t*, void*);
extern "C" void* kstat_data_lookup(kstat_t*, char*);
