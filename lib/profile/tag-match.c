/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fits rules to a domain. A rule's keys all have to fit; of a key's patterns one has to. */
#include "profile/tag-match.h"

#include <string.h>

#include "base/error.h"
#include "base/pattern.h"

#define MAX_HASHTAGS 16
/*
 * Anybody may write a title or a description, and each match costs a look at the whole text: what is beyond these
 * is not looked at.
 */
#define MAX_TEXT_BYTES 32768
#define MAX_MATCHES 256

static char *
dup_text (const VpDomain *domain, const char *element)
{
  const xmlNode *node = vp_xml_child (vp_domain_root (domain), element);
  g_autofree char *text = node != NULL ? vp_xml_dup_content (node) : g_strdup ("");

  if (strlen (text) <= MAX_TEXT_BYTES)
    return g_steal_pointer (&text);
  return g_strndup (text, (gsize) (g_utf8_find_prev_char (text, text + MAX_TEXT_BYTES) - text));
}

static const char *
get_firmware (const VpDomain *domain)
{
  const xmlNode *os = vp_xml_child (vp_domain_root (domain), "os");
  const xmlNode *loader = os != NULL ? vp_xml_child (os, "loader") : NULL;

  if (vp_domain_is_bios (domain))
    return "bios";
  if (os == NULL)
    return "";
  return vp_xml_attr_is (os, "firmware", "efi") || (loader != NULL && vp_xml_attr_is (loader, "type", "pflash")) ? "efi"
                                                                                                                 : "";
}

/* The first of the patterns that fits; NULL: none. */
static const char *
find_pattern (const GStrv patterns, const char *text)
{
  for (guint i = 0; patterns[i] != NULL; i++)
    if (vp_glob_fits (patterns[i], text))
      return patterns[i];
  return NULL;
}

static void G_GNUC_PRINTF (2, 3) add_reason (GString *reason, const char *format, ...)
{
  va_list values;

  if (reason->len > 0)
    g_string_append (reason, ", ");
  va_start (values, format);
  g_string_append_vprintf (reason, format, values);
  va_end (values);
}

static gboolean
fits_text (const VpTagRule *rule, VpMatchKey key, const char *text, GString *reason)
{
  if (rule->patterns[key] == NULL)
    return TRUE;
  const char *pattern = find_pattern (rule->patterns[key], text);
  if (pattern == NULL)
    return FALSE;
  if (strcmp (pattern, text) == 0)
    add_reason (reason, "its %s is '%s'", vp_match_key_name (key), pattern);
  else
    add_reason (reason, "its %s fits '%s'", vp_match_key_name (key), pattern);
  return TRUE;
}

static gboolean
fits_number (const GStrv patterns, guint number)
{
  g_autofree char *text = g_strdup_printf ("%04x", number);

  return patterns == NULL || find_pattern (patterns, text) != NULL;
}

static void
tell_device (const VpPciDevice *device, GString *reason)
{
  const char *vendor = device->vendor == VP_PCI_VENDOR_NVIDIA ? "an NVIDIA GPU"
                       : device->vendor == VP_PCI_VENDOR_AMD  ? "an AMD GPU"
                                                              : "a GPU";
  g_autofree char *address = vp_pci_address_dup_text (&device->address);

  if (vp_pci_is_display (device))
    add_reason (reason, "%s is assigned (%s)", vendor, address);
  else
    add_reason (reason, "a device of class %04x is assigned (%s)", device->class_code >> 8, address);
}

static VpTagVerdict
fits_devices (const VpTagRule *rule, const VpDomain *domain, const VpHost *host, GString *reason)
{
  const GStrv classes = rule->patterns[VP_MATCH_DEVICE_CLASS];
  const GStrv vendors = rule->patterns[VP_MATCH_DEVICE_VENDOR];
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  VpTagVerdict fit = VP_TAG_VERDICT_NO;

  if (classes == NULL && vendors == NULL)
    return VP_TAG_VERDICT_YES;
  for (guint i = 0; i < hostdevs->len; i++) {
    const VpPciDevice *device = vp_host_find_device (host, &g_array_index (hostdevs, VpHostdev, i).address);
    if (device == NULL) {
      fit = VP_TAG_VERDICT_UNKNOWN;
    } else if (fits_number (classes, device->class_code >> 8) && fits_number (vendors, device->vendor)) {
      tell_device (device, reason);
      return VP_TAG_VERDICT_YES;
    }
  }
  return fit;
}

/* In order, each once; NULL: there is no hashtag. A word may be empty, as in "#vfio: gaming". */
static GStrv
dup_hashtags (const VpDomain *domain)
{
  static const char *const elements[] = { "title", "description" };
  g_autoptr (GRegex) regex =
    g_regex_new ("(?<![\\w#])" VP_HASHTAG "([A-Za-z0-9_+.-]{0,64})", G_REGEX_CASELESS, 0, NULL);
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    g_autofree char *text = dup_text (domain, elements[i]);
    g_autoptr (GMatchInfo) match = NULL;
    guint matches = 0;
    for (g_regex_match (regex, text, 0, &match);
         g_match_info_matches (match) && words->len < MAX_HASHTAGS && matches++ < MAX_MATCHES;
         g_match_info_next (match, NULL)) {
      char *word = g_match_info_fetch (match, 1);
      for (gsize end = strlen (word); end > 0 && word[end - 1] == '.'; end--)
        word[end - 1] = '\0'; /* the end of a sentence */
      if (g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL))
        g_free (word);
      else
        g_ptr_array_add (words, word);
    }
  }
  if (words->len == 0)
    return NULL;
  g_ptr_array_add (words, NULL);
  g_ptr_array_set_free_func (words, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&words), FALSE);
}

static gboolean
fits_hashtag (const VpTagRule *rule, const VpDomain *domain, GString *reason)
{
  if (!rule->hashtag)
    return TRUE;
  g_auto (GStrv) words = dup_hashtags (domain);
  if (words == NULL)
    return FALSE;
  g_autofree char *text = g_strjoinv (" " VP_HASHTAG, words);
  add_reason (reason, "its text says " VP_HASHTAG "%s", text);
  return TRUE;
}

VpTagVerdict
vp_tag_rule_fits (const VpTagRule *rule, const VpDomain *domain, const VpHost *host, char **reason)
{
  static const VpMatchKey texts[] = { VP_MATCH_TITLE, VP_MATCH_DESCRIPTION };
  g_autoptr (GString) why = g_string_new (NULL);
  g_autofree char *name = vp_domain_dup_name (domain);

  *reason = NULL;
  VpTagVerdict fit = rule->error == NULL ? fits_devices (rule, domain, host, why) : VP_TAG_VERDICT_UNKNOWN;
  if (rule->error != NULL || fit == VP_TAG_VERDICT_NO)
    return fit;
  if (!fits_hashtag (rule, domain, why) || !fits_text (rule, VP_MATCH_NAME, name, why) ||
      !fits_text (rule, VP_MATCH_FIRMWARE, get_firmware (domain), why))
    return VP_TAG_VERDICT_NO;
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *text = dup_text (domain, vp_match_key_name (texts[i]));
    if (!fits_text (rule, texts[i], text, why))
      return VP_TAG_VERDICT_NO;
  }
  if (fit == VP_TAG_VERDICT_YES)
    *reason = g_string_free (g_steal_pointer (&why), FALSE);
  return fit;
}

/* Only where each is a profile's name: we write no tag that is wrong. A profile that is broken is told of later. */
static char *
dup_hashtag_names (const VpProfiles *profiles, const VpDomain *domain, char **warning)
{
  g_auto (GStrv) words = dup_hashtags (domain);

  if (g_strv_contains ((const char *const *) words, VP_HASHTAG_NONE))
    return NULL;
  for (guint i = 0; words[i] != NULL; i++) {
    g_autoptr (GError) problem = NULL;
    if (vp_profiles_get (profiles, words[i], &problem) != NULL || problem->code == VP_ERROR_PROFILE)
      continue;
    *warning =
      g_strdup_printf ("its text says " VP_HASHTAG "%s, so it gets no profile: %s", words[i],
                       words[i][0] == '\0' ? "the profile's name has to follow, without a space" : problem->message);
    return NULL;
  }
  return g_strjoinv (" ", words);
}

static char *
dup_rule_names (const VpTagRule *rule, const VpDomain *domain)
{
  g_autofree char *names = g_strjoinv (" ", rule->profiles);

  if (rule->profiles_bios == NULL || !vp_domain_is_bios (domain))
    return g_steal_pointer (&names);
  g_autofree char *more = g_strjoinv (" ", rule->profiles_bios);
  return g_strconcat (names, " ", more, NULL);
}

/* What the domain has from this rule stays: whether it fits nobody can say. */
static void
keep (VpTagMatch *match, const VpTagRule *rule, const VpDomain *domain)
{
  match->rule = g_strdup (rule->name);
  match->names = vp_xml_dup_attr (vp_domain_tag (domain), "name");
  match->reason = g_strdup (rule->error != NULL ? "it is broken, so what it gave stays"
                                                : "an assigned device is not on this host, so what it gave stays");
  if (rule->error != NULL)
    match->warning = g_strdup_printf ("rule '%s', which tagged it, is broken: %s", rule->name, rule->error->message);
}

/* NULL: all of its text was looked at. */
static char *
dup_length_warning (const VpDomain *domain)
{
  static const char *const elements[] = { "title", "description" };

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    const xmlNode *node = vp_xml_child (vp_domain_root (domain), elements[i]);
    g_autofree char *text = node != NULL ? vp_xml_dup_content (node) : g_strdup ("");
    if (strlen (text) > MAX_TEXT_BYTES)
      return g_strdup_printf ("its %s is longer than %u bytes: rules do not look at the rest", elements[i],
                              MAX_TEXT_BYTES);
  }
  return NULL;
}

VpTagMatch *
vp_tag_match_new (const VpProfiles *profiles, const VpDomain *domain, const VpHost *host)
{
  const GPtrArray *rules = vp_profiles_get_rules (profiles);
  g_autofree char *present = vp_domain_dup_tag_rule (domain);

  if (rules == NULL || (vp_domain_tag (domain) != NULL && present == NULL))
    return NULL;
  g_autoptr (VpTagMatch) match = g_new0 (VpTagMatch, 1);
  for (guint i = 0; i < rules->len && match->rule == NULL; i++) {
    const VpTagRule *rule = rules->pdata[i];
    g_autofree char *reason = NULL;
    VpTagVerdict fit = rule->enabled ? vp_tag_rule_fits (rule, domain, host, &reason) : VP_TAG_VERDICT_NO;
    if (fit == VP_TAG_VERDICT_NO)
      continue;
    if (fit == VP_TAG_VERDICT_UNKNOWN) {
      if (g_strcmp0 (present, rule->name) == 0)
        keep (match, rule, domain);
      continue;
    }
    match->rule = g_strdup (rule->name);
    match->reason = g_steal_pointer (&reason);
    match->names =
      rule->hashtag ? dup_hashtag_names (profiles, domain, &match->warning) : dup_rule_names (rule, domain);
  }
  if (match->warning == NULL)
    match->warning = dup_length_warning (domain);
  return g_steal_pointer (&match);
}

void
vp_tag_match_free (VpTagMatch *match)
{
  if (match == NULL)
    return;
  g_free (match->rule);
  g_free (match->names);
  g_free (match->reason);
  g_free (match->warning);
  g_free (match);
}

gboolean
vp_tag_match_stands (const VpTagMatch *match, const VpDomain *domain)
{
  const xmlNode *tag = vp_domain_tag (domain);

  if (tag == NULL || match->names == NULL)
    return tag == NULL && match->names == NULL;
  return vp_xml_attr_is (tag, "name", match->names) && vp_xml_attr_is (tag, "rule", match->rule);
}

void
vp_tag_match_apply (const VpTagMatch *match, VpDomain *domain)
{
  if (!vp_tag_match_stands (match, domain))
    vp_domain_set_rule_tag (domain, match->names, match->rule);
}
