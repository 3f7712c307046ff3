/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a guest's file in the journal. What can be read is written as a text that
 * reads as the same, and nothing of it is out of its bounds, whoever wrote the file.
 */
#include <stdint.h>

#include "daemon/hold/hold.h"

#define UUID "aaaaaaaa-0000-4000-8000-000000000001"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_records (const VpHold *hold)
{
  for (guint i = 0; i < hold->records->len; i++) {
    const VpHoldRecord *record = hold->records->pdata[i];
    g_assert_cmpint (record->kind, >=, 0);
    g_assert_cmpint (record->kind, <, VP_N_HOLD_KINDS);
    if (record->kind == VP_HOLD_PAGES) {
      g_assert_cmpuint (record->pages.page_kib, >, 0);
      g_assert_cmpint (record->pages.node, >=, -1);
      g_assert_true (vp_hold_find_pages (hold, record->pages.node, record->pages.page_kib) != NULL);
    } else {
      g_assert_true (record->key != NULL && record->before != NULL && record->after != NULL);
      g_assert_true (vp_hold_find_record (hold, record->kind, record->key) != NULL);
    }
  }
}

static void
check_hold (const VpHold *hold)
{
  g_assert_nonnull (hold->name);
  g_assert_cmpint (hold->state, >=, VP_HOLD_TAKING);
  g_assert_cmpint (hold->state, <=, VP_HOLD_RELEASING);
  g_assert_cmpint (hold->run, >=, 0);
  check_records (hold);
}

/* A copy is written as the first, and reads as it. */
static void
check_copy (const VpHold *hold, const char *text)
{
  g_autoptr (VpHold) copy = vp_hold_copy (hold);
  g_autofree char *copied = vp_hold_dup_text (copy);
  g_auto (GStrv) lines = vp_hold_describe (hold);
  g_auto (GStrv) copied_lines = vp_hold_describe (copy);

  g_assert_cmpstr (copied, ==, text);
  g_assert_true (g_strv_equal ((const char *const *) lines, (const char *const *) copied_lines));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *input = g_strndup ((const char *) data, MIN (size, VP_HOLD_MAX_BYTES));
  g_autoptr (GError) error = NULL;
  g_autoptr (VpHold) hold = vp_hold_parse (UUID, input, &error);

  if (hold == NULL) {
    g_assert_true (error != NULL && error->message[0] != '\0');
    return 0;
  }
  g_assert_no_error (error);
  check_hold (hold);
  g_autofree char *text = vp_hold_dup_text (hold);
  g_autoptr (VpHold) again = vp_hold_parse (UUID, text, &error);
  g_assert_no_error (error);
  g_autofree char *second = vp_hold_dup_text (again);
  g_assert_cmpstr (second, ==, text);
  check_copy (hold, text);
  return 0;
}
