/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain that somebody undefined while our define brought it back. */
#include "edits/round.h"

#include <libvirt/virterror.h>

static gboolean
undefine (const VpRound *round, GError **error)
{
  unsigned flags =
    VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;

  if (virDomainUndefineFlags (round->domain, flags) == 0) {
    g_message ("domain '%s': it was undefined while it was prepared: undefined again", round->name);
    return TRUE;
  }
  vp_libvirt_set_error (error, "domain '%s' was undefined while it was prepared, and cannot be undefined again",
                        round->name);
  return FALSE;
}

/* What our undefine took away although it was not ours; NULL: nothing. */
static VpDomain *
find_undefined (const VpRound *round, guint64 after)
{
  g_autoptr (GPtrArray) versions = vp_versions_list (round->context->versions, round->name, after);
  VpDomain *found = NULL;

  for (guint i = 0; i < versions->len; i++) {
    const VpVersion *version = versions->pdata[i];
    gsize length = 0;
    const char *text = version->text != NULL ? g_bytes_get_data (version->text, &length) : NULL;
    if (text != NULL)
      vp_round_take (&found, vp_domain_parse (text, length, "a version of the definition", NULL));
    else if (version->deleted && i + 1 < versions->len)
      g_clear_pointer (&found, vp_domain_free); /* somebody defined it anew since: that stands */
  }
  return found;
}

/*
 * Somebody undefined the domain and our define brought it back: let it go again, if it is ours still. Should it
 * have been defined in that very moment, `carry` is that definition and TRUE is returned: it has to be written.
 */
gboolean
vp_round_repeat_undefine (VpRound *round, const VpLost *lost, gboolean *again, GError **error)
{
  guint64 serial = 0;

  *again = FALSE;
  /* Before the reading: a definition that comes after it is after that serial, too. */
  if (!vp_round_sync (round, &serial, error))
    return FALSE;
  g_autoptr (VpDomain) fresh = vp_libvirt_read (round->domain, NULL);
  if (fresh == NULL || lost->ours == NULL || !vp_domain_equal (fresh, lost->ours))
    return TRUE;
  if (!undefine (round, error) || !vp_round_sync (round, &round->serial, error))
    return FALSE;
  VpDomain *theirs = find_undefined (round, serial);
  if (theirs == NULL)
    return TRUE;
  vp_round_take (&round->carry, theirs);
  vp_round_take (&round->base, vp_domain_copy (theirs));
  *again = TRUE;
  return TRUE;
}
