// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define SIOCSLIFNAME 0x4081
#define SIOCGLIFMTU 0x407a
#define SIOCSLIFMTU 0x4079
