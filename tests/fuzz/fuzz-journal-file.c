/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a guest's file in the journal. What can be read is written as a text that
 * reads as the same, and nothing of it is out of its bounds, whoever wrote the file.
 */
#include <stdint.h>

#include "journal/journal.h"

#define UUID "aaaaaaaa-0000-4000-8000-000000000001"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_records (const VpHolding *holding)
{
  for (guint i = 0; i < holding->records->len; i++) {
    const VpHoldingRecord *record = holding->records->pdata[i];
    g_assert_cmpint (record->kind, >=, 0);
    g_assert_cmpint (record->kind, <, VP_N_HOLDING_KINDS);
    if (record->kind == VP_HOLDING_PAGES) {
      g_assert_cmpuint (record->pages.page_kib, >, 0);
      g_assert_cmpint (record->pages.node, >=, -1);
      g_assert_true (vp_holding_find_pages (holding, record->pages.node, record->pages.page_kib) != NULL);
    } else {
      g_assert_true (record->key != NULL && record->before != NULL && record->after != NULL);
      g_assert_true (vp_holding_find_record (holding, record->kind, record->key) != NULL);
    }
  }
}

static void
check_hold (const VpHolding *holding)
{
  g_assert_nonnull (holding->name);
  g_assert_cmpint (holding->state, >=, VP_HOLDING_TAKING);
  g_assert_cmpint (holding->state, <=, VP_HOLDING_RELEASING);
  g_assert_cmpint (holding->run, >=, 0);
  check_records (holding);
}

/* A copy is written as the first, and reads as it. */
static void
check_copy (const VpHolding *holding, const char *text)
{
  g_autoptr (VpHolding) copy = vp_holding_copy (holding);
  g_autofree char *copied = vp_holding_dup_text (copy);
  g_auto (GStrv) lines = vp_holding_describe (holding);
  g_auto (GStrv) copied_lines = vp_holding_describe (copy);

  g_assert_cmpstr (copied, ==, text);
  g_assert_true (g_strv_equal ((const char *const *) lines, (const char *const *) copied_lines));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *input = g_strndup ((const char *) data, MIN (size, VP_JOURNAL_MAX_BYTES));
  g_autoptr (GError) error = NULL;
  g_autoptr (VpHolding) holding = vp_holding_parse (UUID, input, &error);

  if (holding == NULL) {
    g_assert_true (error != NULL && error->message[0] != '\0');
    return 0;
  }
  g_assert_no_error (error);
  check_hold (holding);
  g_autofree char *text = vp_holding_dup_text (holding);
  g_autoptr (VpHolding) again = vp_holding_parse (UUID, text, &error);
  g_assert_no_error (error);
  g_autofree char *second = vp_holding_dup_text (again);
  g_assert_cmpstr (second, ==, text);
  check_copy (holding, text);
  return 0;
}
