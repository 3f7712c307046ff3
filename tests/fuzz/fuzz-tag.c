/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as what stands in a domain's <metadata>. A tag is refused, or comes to settings
 * that each key takes; its names, written back, are a tag of those names.
 */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "profile/tag.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const VpProfiles *
get_profiles (void)
{
  static VpProfiles *profiles;
  const char *folders[] = { VP_TEST_PROFILES, NULL };

  if (profiles == NULL)
    profiles = vp_profiles_load (folders, NULL);
  g_assert_nonnull (profiles);
  return profiles;
}

static void
check_settings (const VpSettings *settings)
{
  for (int key = 0; key < VP_N_KEYS; key++)
    g_assert_true (settings->values[key] == NULL || vp_key_check ((VpKey) key, settings->values[key], "tag", NULL));
}

static void
check_names (VpDomain *domain, const char *names)
{
  g_autoptr (GError) error = NULL;

  vp_domain_set_tag (domain, names);
  g_autoptr (VpTag) tag = vp_tag_resolve (vp_domain_tag (domain), get_profiles (), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (tag->names, ==, names);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *metadata = g_strndup ((const char *) data, size);
  g_autofree char *text =
    g_strdup_printf ("<domain type='kvm'><name>fuzz</name><metadata>%s</metadata></domain>", metadata);
  g_autoptr (VpDomain) domain = vp_domain_parse (text, strlen (text), "input", NULL);
  const xmlNode *node = domain != NULL ? vp_domain_tag (domain) : NULL;

  if (node == NULL)
    return 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTag) tag = vp_tag_resolve (node, get_profiles (), &error);
  if (tag == NULL) {
    g_assert_true (error != NULL && error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
    return 0;
  }
  check_settings (tag->settings);
  check_names (domain, tag->names);
  return 0;
}
