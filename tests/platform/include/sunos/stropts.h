// SPDX-License-Identifier: BSD-3-Clause
// streamio(4I).
#pragma once
#define I_PUSH 0x5302
#define I_SRDOPT 0x5306
#define I_STR 0x5308
#define I_LINK 0x530c
#define RMSGD 0x0001
struct strioctl {
  int ic_cmd;
  int ic_timout;
  int ic_len;
  char* ic_dp;
};
