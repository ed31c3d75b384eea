// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define KERN_PROC_ARGS 55
#define KERN_PROC_ARGV 1
