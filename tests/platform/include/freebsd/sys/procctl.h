// SPDX-License-Identifier: BSD-3-Clause
// procctl(2).
#pragma once
#include <sys/wait.h>
#define PROC_PDEATHSIG_CTL 11
extern "C" int procctl(idtype_t, id_t, int, void*);
