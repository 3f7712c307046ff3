/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error domain's quark; everything else about errors is in the header. */
#include "base/error.h"

/* A name, and no difference of three numbers. */
/* clang-format off */
G_DEFINE_QUARK (vp-error-quark, vp_error)
/* clang-format on */
