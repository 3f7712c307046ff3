/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key table. */
#include "profile/key.h"

#include <string.h>

#include "base/error.h"

#define UNIT "[A-Za-z0-9:_.\\\\@-]{1,200}\\.service"

static const VpKeyInfo keys[VP_N_KEYS] = {
  [VP_KEY_CPU_PIN] = { "cpu", "pin", "no", { "no", "yes", "required" }, NULL, NULL },
  [VP_KEY_CPU_RESERVE_CORES] = { "cpu", "reserve-cores", "1", { NULL }, "[0-9]{1,4}", "a number from 0 to 9999" },
  [VP_KEY_CPU_KIND] = { "cpu", "kind", "performance", { "performance", "efficiency", "any" }, NULL, NULL },
  [VP_KEY_CPU_CACHE] = { "cpu", "cache", "any", { "any", "largest" }, NULL, NULL },
  [VP_KEY_CPU_TOPOLOGY] = { "cpu", "topology", "keep", { "keep", "match" }, NULL, NULL },
  [VP_KEY_CPU_NUMA] = { "cpu", "numa", "strict", { "strict", "preferred", "expose" }, NULL, NULL },
  [VP_KEY_CPU_CONFLICT] = { "cpu", "conflict", "share", { "share", "refuse" }, NULL, NULL },
  [VP_KEY_CPU_ISOLATE] = { "cpu", "isolate", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_CPU_IRQS] = { "cpu", "irqs", "keep", { "keep", "move" }, NULL, NULL },
  [VP_KEY_CPU_GOVERNOR] = { "cpu", "governor", "keep", { "keep", "performance" }, NULL, NULL },
  [VP_KEY_MEMORY_PAGE_SIZE] = { "memory",
                                "page-size",
                                "off",
                                { "off", "auto" },
                                "[1-9][0-9]{0,5}[KMG]",
                                "a size such as 2M or 1G" },
  [VP_KEY_MEMORY_ALLOCATE] = { "memory", "allocate", "yes", { "no", "yes" }, NULL, NULL },
  [VP_KEY_MEMORY_DEADLINE] = { "memory",
                               "deadline",
                               "10",
                               { NULL },
                               "[0-9]{1,3}",
                               "a number of seconds from 0 to 999" },
  [VP_KEY_MEMORY_NOSHAREPAGES] = { "memory", "nosharepages", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_HYPERVISOR_KVM_HIDDEN] = { "hypervisor", "kvm-hidden", "keep", { "keep", "on", "auto" }, NULL, NULL },
  [VP_KEY_HYPERVISOR_HYPERV] = { "hypervisor", "hyperv", "keep", { "keep", "remove", "spoof", "full" }, NULL, NULL },
  /* CPUID has room for 12 bytes; a comma would end QEMU's -cpu property. */
  [VP_KEY_HYPERVISOR_VENDOR_ID] = { "hypervisor",
                                    "vendor-id",
                                    "0123456789ab",
                                    { NULL },
                                    "[!-+.-~\\-]{1,12}",
                                    "1 to 12 printable characters without space and comma" },
  [VP_KEY_HYPERVISOR_HINT_DEDICATED] = { "hypervisor", "hint-dedicated", "keep", { "keep", "auto" }, NULL, NULL },
  [VP_KEY_VGA_X_VGA] = { "vga", "x-vga", "off", { "off", "on", "auto" }, NULL, NULL },
  [VP_KEY_VGA_METHOD] = { "vga", "method", "wrapper", { "wrapper", "override" }, NULL, NULL },
  [VP_KEY_DEVICES_BOOT_VGA] = { "devices", "boot-vga", "allow", { "allow", "refuse" }, NULL, NULL },
  [VP_KEY_DEVICES_TRIM] = { "devices", "trim", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_DEVICES_HANDOVER] = { "devices", "handover", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_DEVICES_HANDOVER_UNITS] = { "devices",
                                      "handover-units",
                                      "display-manager.service nvidia-persistenced.service",
                                      { "none" },
                                      UNIT "(?: +" UNIT "){0,15}",
                                      "up to 16 names of services such as display-manager.service" },
  [VP_KEY_DEVICES_HANDOVER_SESSIONS] = { "devices", "handover-sessions", "yes", { "no", "yes" }, NULL, NULL },
  [VP_KEY_DEVICES_HANDOVER_DEADLINE] = { "devices",
                                         "handover-deadline",
                                         "20",
                                         { NULL },
                                         "[0-9]{1,3}",
                                         "a number of seconds from 0 to 999" },
  [VP_KEY_DEVICES_HANDOVER_FIRMWARE_CONSOLE] = { "devices",
                                                 "handover-firmware-console",
                                                 "no",
                                                 { "no", "yes" },
                                                 NULL,
                                                 NULL },
  [VP_KEY_START_ON_STALE] = { "start", "on-stale", "refuse", { "refuse", "start", "retry" }, NULL, NULL },
};

const VpKeyInfo *
vp_key_info (VpKey key)
{
  return &keys[key];
}

static char *
dup_known_keys (const char *section)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (section != NULL && strcmp (keys[i].section, section) != 0)
      continue;
    if (section == NULL && i > 0 && strcmp (keys[i].section, keys[i - 1].section) == 0)
      continue;
    g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "", section != NULL ? keys[i].name : keys[i].section);
  }
  return g_strdup (text->str);
}

gboolean
vp_key_find (const char *section, const char *name, const char *where, VpKey *key, GError **error)
{
  gboolean section_known = FALSE;

  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (strcmp (keys[i].section, section) != 0)
      continue;
    section_known = TRUE;
    if (name != NULL && strcmp (keys[i].name, name) == 0) {
      *key = (VpKey) i;
      return TRUE;
    }
  }
  if (section_known && name == NULL)
    return TRUE;
  g_autofree char *known = dup_known_keys (section_known ? section : NULL);
  if (section_known)
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: %s has no key '%s'; it has: %s", where, section, name, known);
  else
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: there is no section '%s'; there are: %s", where, section, known);
  return FALSE;
}

char *
vp_key_dup_allowed (VpKey key)
{
  g_autofree char *words = g_strjoinv (", ", (char **) keys[key].choices);

  if (keys[key].pattern == NULL)
    return g_steal_pointer (&words);
  return g_strdup_printf ("%s%s%s", words, words[0] != '\0' ? ", " : "", keys[key].pattern_words);
}

gboolean
vp_key_check (VpKey key, const char *value, const char *where, GError **error)
{
  const VpKeyInfo *info = &keys[key];

  if (g_strv_contains (info->choices, value))
    return TRUE;
  if (info->pattern != NULL) {
    g_autofree char *whole = g_strdup_printf ("^(?:%s)\\z", info->pattern);
    if (g_regex_match_simple (whole, value, 0, 0))
      return TRUE;
  }
  g_autofree char *allowed = vp_key_dup_allowed (key);
  g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: %s.%s cannot be '%s'; allowed: %s", where, info->section, info->name,
               value, allowed);
  return FALSE;
}

VpSettings *
vp_settings_new (void)
{
  return g_new0 (VpSettings, 1);
}

void
vp_settings_free (VpSettings *settings)
{
  if (settings == NULL)
    return;
  for (guint i = 0; i < VP_N_KEYS; i++)
    g_free (settings->values[i]);
  g_free (settings);
}

void
vp_settings_overlay (VpSettings *settings, const VpSettings *over)
{
  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (over->values[i] == NULL)
      continue;
    g_free (settings->values[i]);
    settings->values[i] = g_strdup (over->values[i]);
  }
}

const char *
vp_settings_get (const VpSettings *settings, VpKey key)
{
  return settings->values[key] != NULL ? settings->values[key] : keys[key].fallback;
}

int
vp_settings_choice (const VpSettings *settings, VpKey key)
{
  const char *value = vp_settings_get (settings, key);

  for (int i = 0; keys[key].choices[i] != NULL; i++)
    if (strcmp (keys[key].choices[i], value) == 0)
      return i;
  return -1;
}
