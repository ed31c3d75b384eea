// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define KERN_PROC_ARGS 48
#define KERN_PROC_PATHNAME 5
