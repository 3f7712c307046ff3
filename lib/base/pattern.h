/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fixed regular expressions that are asked often: each is compiled once. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Whether the whole of `text` (UTF-8) is what the pattern says. `pattern` is static: its address is
 * remembered for as long as the program runs. From any thread.
 */
gboolean vp_pattern_fits (const char *pattern, const char *text);

/*
 * Whether the whole of `text` is what the glob says: "*" is any characters, "?" one. As g_pattern_match_simple, but
 * in no more steps than both are long, multiplied, however many "*" there are.
 */
gboolean vp_glob_fits (const char *glob, const char *text);

G_END_DECLS
