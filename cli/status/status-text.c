/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains as a table for people. Decides nothing. */
#include "cli/base/output.h"
#include "cli/status/status.h"

const char *
vp_status_state_name (VpStatusState state)
{
  static const char *const names[] = {
    [VP_STATUS_UNTAGGED] = "untagged",
    [VP_STATUS_READY] = "ready",
    [VP_STATUS_STALE] = "stale",
    [VP_STATUS_INVALID] = "invalid",
  };

  return names[state];
}

static void
note (VpTable *table, const char *what, const char *text)
{
  g_autofree char *line = g_strconcat (what, text, NULL);

  vp_table_note (table, line);
}

void
vp_status_print (const GPtrArray *all)
{
  static const char *const heads[] = { "DOMAIN", "PROFILE", "STATE", "RUNNING", "PINS", NULL };
  static const VpStyle styles[] = {
    [VP_STATUS_UNTAGGED] = VP_STYLE_DIM,
    [VP_STATUS_READY] = VP_STYLE_GOOD,
    [VP_STATUS_STALE] = VP_STYLE_WARN,
    [VP_STATUS_INVALID] = VP_STYLE_BAD,
  };
  g_autoptr (VpTable) table = vp_table_new (heads);

  for (guint i = 0; i < all->len; i++) {
    const VpStatus *status = all->pdata[i];
    g_autofree char *pins = status->pins != NULL ? vp_pins_dup_text (status->pins) : NULL;
    g_autofree char *profile = status->rule != NULL ? g_strdup_printf ("%s (rule %s)", status->profile, status->rule)
                                                    : g_strdup (status->profile);
    const char *cells[] = { status->name, profile, vp_status_state_name (status->state), status->running ? "yes" : "no",
                            pins,         NULL };
    vp_table_add (table, 2, styles[status->state], cells);
    if (status->why != NULL)
      vp_table_note (table, status->why);
    if (status->silent != NULL)
      note (table, "started past the hook, as ", status->silent);
    for (guint j = 0; status->warnings != NULL && j < status->warnings->len; j++)
      vp_table_note (table, status->warnings->pdata[j]);
    for (guint j = 0; status->drift != NULL && j < status->drift->len; j++)
      note (table, "not as planned: ", status->drift->pdata[j]);
    for (guint j = 0; status->holds != NULL && status->holds[j] != NULL; j++)
      note (table, status->running ? "holds " : "still held: ", status->holds[j]);
    for (guint j = 0; status->handover != NULL && j < status->handover->len; j++)
      note (table, "handover: ", status->handover->pdata[j]);
  }
  vp_table_print (table);
}
