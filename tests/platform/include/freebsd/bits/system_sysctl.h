// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define KERN_PROC 14
#define KERN_PROC_PATHNAME 12
