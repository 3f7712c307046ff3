/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a domain definition, and every question that is asked of one. Answers are
 * within their bounds, agree with each other, and are those of the document written anew.
 */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "domain/domain.h"
#include "domain/hugepages.h"
#include "domain/pins.h"

#define MOST_VCPUS 4096u
#define MOST_IOTHREADS 1024u
#define MOST_CPU 99999 /* that a list may name */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Either an answer or an error. */
static void
check_error (gboolean answered, GError **error)
{
  g_assert_true (answered == (*error == NULL));
  g_assert_true (*error == NULL || ((*error)->domain == VP_ERROR && g_utf8_validate ((*error)->message, -1, NULL)));
  g_clear_error (error);
}

static void
check_vcpus (const VpDomain *domain)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);
  guint n = vp_domain_vcpus (domain, &error);

  g_assert_cmpuint (n, <=, MOST_VCPUS);
  g_assert_cmpuint (pins->vcpus->len, ==, n);
  check_error (n > 0, &error);
  g_assert_true (n == 0 ? hwloc_bitmap_iszero (online)
                        : !hwloc_bitmap_iszero (online) && hwloc_bitmap_last (online) < (int) n);
  g_assert_cmpuint (vp_domain_threads (domain), >=, 1);
  g_assert_cmpuint (vp_domain_threads (domain), <=, MOST_VCPUS);
  for (guint i = 0; i < n; i++) {
    g_autoptr (VpBitmap) set = vp_pins_new_vcpu_set (pins, i);
    int pin = vp_pins_vcpu_cpu (pins, i);
    g_assert_cmpint (pin, >=, -1);
    g_assert_cmpint (pin, <=, MOST_CPU);
    g_assert_true (set == NULL || hwloc_bitmap_last (set) <= MOST_CPU);
    if (pin >= 0 && set != NULL)
      g_assert_true (hwloc_bitmap_weight (set) == 1 && hwloc_bitmap_isset (set, (unsigned) pin));
  }
}

static void
check_iothreads (const VpDomain *domain)
{
  g_autoptr (GArray) ids = vp_domain_iothreads (domain);

  g_assert_cmpuint (ids->len, <=, 2 * MOST_IOTHREADS);
  for (guint i = 1; i < ids->len; i++)
    g_assert_cmpuint (g_array_index (ids, guint, i - 1), <=, g_array_index (ids, guint, i));
}

static void
check_memory (const VpDomain *domain)
{
  g_autoptr (GError) error = NULL;
  guint64 kib = vp_domain_memory_kib (domain, &error);

  g_assert_cmpuint (kib, <=, G_MAXUINT64 / 1024 + 1);
  check_error (kib > 0, &error);
  g_autoptr (GArray) cells = vp_domain_cells_kib (domain, &error);
  check_error (cells != NULL, &error);
  g_autoptr (GArray) needs = vp_hugepages_needs (domain, 2048, 4, &error);
  check_error (needs != NULL, &error);
  for (guint i = 0; needs != NULL && i < needs->len; i++)
    g_assert_cmpuint (g_array_index (needs, VpPageNeed, i).page_kib, >, 0);
  (void) vp_hugepages_need_mount (domain);
}

static void
check_hostdevs (const VpDomain *domain)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (GArray) addresses = vp_domain_device_addresses (domain);
  g_autofree char *alias = NULL;
  VpPciAddress marked = { 0 };
  gboolean is_marked = vp_domain_find_x_vga (domain, &marked, &alias);
  gboolean is_found = FALSE;

  g_assert_cmpuint (addresses->len, ==, hostdevs->len);
  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    g_autofree char *text = vp_pci_address_dup_text (&hostdev->address);
    VpPciAddress read = { 0 };
    g_assert_nonnull (hostdev->node);
    g_assert_true (vp_pci_address_parse (text, &read));
    g_assert_true (vp_pci_address_equal (&read, &g_array_index (addresses, VpPciAddress, i)));
    is_found = is_found || (is_marked && vp_pci_address_equal (&read, &marked));
  }
  g_assert_true (is_found == is_marked);
  g_assert_true (is_marked == (alias != NULL));
}

/* The words, in one line; those that may be missing as "-". */
static char *
dup_words (const VpDomain *domain)
{
  g_autofree char *name = vp_domain_dup_name (domain);
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autofree char *emulator = vp_domain_dup_emulator (domain);
  g_autofree char *arch = vp_domain_dup_arch (domain);
  g_autofree char *rule = vp_domain_dup_tag_rule (domain);

  g_assert_nonnull (name);
  g_assert_cmpint (vp_domain_run (domain), >=, 0);
  g_assert_true (rule == NULL || vp_domain_tag (domain) != NULL);
  g_assert_true (!vp_domain_was_prepared (domain) || vp_domain_state (domain) != NULL);
  return g_strdup_printf ("%s %s %s %s %s %d %d %d", name, uuid != NULL ? uuid : "-", emulator != NULL ? emulator : "-",
                          arch != NULL ? arch : "-", rule != NULL ? rule : "-", vp_domain_is_bios (domain),
                          vp_domain_run (domain), vp_domain_was_prepared (domain));
}

static void
check_written (const VpDomain *domain)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = vp_domain_dup_text (domain);
  g_autoptr (VpDomain) again = vp_domain_parse (text, strlen (text), "what was written", &error);
  g_autoptr (VpDomain) copy = vp_domain_copy (domain);
  g_autofree char *words = dup_words (domain);

  g_assert_no_error (error);
  g_autofree char *words_again = dup_words (again);
  g_assert_cmpstr (words_again, ==, words);
  g_assert_true (vp_domain_equal (domain, again));
  g_assert_true (vp_domain_equal (domain, copy));
}

/* Of several, which libvirt does not keep, the first goes. */
static void
check_tag (VpDomain *domain)
{
  const xmlNode *tag = NULL;

  vp_domain_set_tag (domain, "gaming");
  while ((tag = vp_domain_tag (domain)) != NULL) {
    const xmlNode *next = vp_xml_next (tag);
    vp_domain_set_tag (domain, NULL);
    g_assert_true (vp_domain_tag (domain) == NULL || next != NULL);
  }
  g_assert_nonnull (vp_domain_ensure_state (domain));
  g_assert_nonnull (vp_domain_state (domain));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDomain) domain = vp_domain_parse ((const char *) data, size, "input", &error);

  check_error (domain != NULL, &error);
  if (domain == NULL)
    return 0;
  check_vcpus (domain);
  check_iothreads (domain);
  check_memory (domain);
  check_hostdevs (domain);
  check_written (domain);
  check_tag (domain);
  return 0;
}
