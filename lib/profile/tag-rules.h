/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules that give domains a tag, for people who write none: what a rule file says.
 * vfio-profile-rules(5) explains the keys to people. Whom a rule fits is told by
 * tag-match.h.
 *
 * A rule file is NAME.conf in a folder rules.d; beside it, in any of the folders, may
 * stand NAME.enabled with "yes" or "no", which goes over what the file itself says.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  VP_MATCH_DEVICE_CLASS,
  VP_MATCH_DEVICE_VENDOR,
  VP_MATCH_NAME,
  VP_MATCH_TITLE,
  VP_MATCH_DESCRIPTION,
  VP_MATCH_FIRMWARE,
  VP_N_MATCHES
} VpMatchKey;

/* The word in a title or description, "#vfio:gaming"; this one keeps every rule off a domain. */
#define VP_HASHTAG "#vfio:"
#define VP_HASHTAG_NONE "none"

typedef struct {
  char *name; /* of the file, as the tag has it */
  char *path;
  char *description; /* one line; may be empty */
  gboolean enabled;
  gboolean shipped_enabled; /* what the file itself says */
  char *switch_path;        /* of the file that goes over that; NULL: none */
  GStrv profiles;           /* what it gives; NULL: what the hashtag says */
  GStrv profiles_bios;      /* more of it for guests with BIOS firmware; NULL: nothing */
  gboolean hashtag;
  GStrv patterns[VP_N_MATCHES]; /* one of them has to fit; NULL: not asked */
  GError *error;                /* the file is broken: this is why, and the rest does not count */
} VpTagRule;

const char *vp_match_key_name (VpMatchKey key); /* static, as the file has it: "device-class" */

/* Never NULL: what is wrong is in its error. The caller's; switches are not looked at. */
VpTagRule *vp_tag_rule_load (const char *name, const char *path);
void vp_tag_rule_free (VpTagRule *rule); /* may be NULL */
/* Of VpTagRule, an owning array, in the order of their names; NULL and an error where a folder cannot be read. */
GPtrArray *vp_tag_rules_load (const char *const *folders, GError **error);

/* The path of the file in that folder that turns a rule on or off; the caller's. */
char *vp_tag_rule_dup_switch (const char *folder, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpTagRule, vp_tag_rule_free)

G_END_DECLS
