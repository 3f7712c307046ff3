/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Anybody's bytes: each offset is checked before it counts. */
#include "devices/device-rom.h"

#include <string.h>

#define UNIT 512u /* of lengths */
#define MAX_IMAGES 64
#define POINTER 0x18 /* to the data structure */
#define DATA_LENGTH 0x16
#define CODE_X86 0
#define CODE_EFI 3
#define LAST 0x80

typedef struct {
  gsize start;
  gsize length;
  guint16 vendor;
  guint16 device;
  gboolean lists_more; /* it is for other devices, too */
  guint8 code;
  gboolean last;
} Image;

static guint16
read16 (const guint8 *at)
{
  return (guint16) (at[0] | at[1] << 8);
}

/* NULL: it is there. */
static const char *
read_image (const guint8 *bytes, gsize length, Image *image)
{
  const guint8 *at = bytes + image->start;
  gsize left = length - image->start;

  if (left < POINTER + 2 || at[0] != 0x55 || at[1] != 0xaa)
    return "55 aa";
  gsize data = read16 (at + POINTER);
  if (data + DATA_LENGTH > left || memcmp (at + data, "PCIR", 4) != 0)
    return "PCIR";
  image->vendor = read16 (at + data + 4);
  image->device = read16 (at + data + 6);
  image->lists_more = at[data + 0x0c] >= 3 && read16 (at + data + 8) != 0;
  image->length = read16 (at + data + 0x10) * UNIT;
  image->code = at[data + 0x14];
  image->last = (at[data + 0x15] & LAST) != 0;
  return NULL;
}

/* Of all bytes, as the firmware counts them; an EFI image has none. */
static gboolean
has_checksum (const guint8 *at, gsize length)
{
  guint8 sum = 0;

  for (gsize i = 0; i < length; i++)
    sum = (guint8) (sum + at[i]);
  return sum == 0;
}

static char *
find_image_problem (const guint8 *bytes, gsize length, const Image *image, const VpPciDevice *device)
{
  if (image->length == 0 || image->length > length - image->start)
    return g_strdup_printf ("it is cut off: its image at byte %" G_GSIZE_FORMAT " has %" G_GSIZE_FORMAT
                            " bytes, and %" G_GSIZE_FORMAT " are there",
                            image->start, image->length, length - image->start);
  if (image->vendor != device->vendor || (image->device != device->device && !image->lists_more))
    return g_strdup_printf ("it is another card's: it is for %04x:%04x, and the card is %04x:%04x", image->vendor,
                            image->device, device->vendor, device->device);
  if (image->code == CODE_X86 && !has_checksum (bytes + image->start, image->length))
    return g_strdup ("its checksum is wrong: it was changed, or copied while the card was the host's display");
  return NULL;
}

char *
vp_rom_find_problem (const guint8 *bytes, gsize length, const VpPciDevice *device, gboolean bios)
{
  Image image = { .start = 0 };
  gboolean has_x86 = FALSE;
  gboolean has_efi = FALSE;

  for (int i = 0; i < MAX_IMAGES && !image.last && image.start < length; i++) {
    const char *missing = read_image (bytes, length, &image);
    if (missing != NULL && i == 0)
      return g_strdup_printf ("it is no ROM image: '%s' is not where it belongs; some programs put bytes of their own "
                              "before the 55 aa that it begins with: cut them off",
                              missing);
    if (missing != NULL)
      return g_strdup_printf ("it is cut off: no image begins at byte %" G_GSIZE_FORMAT, image.start);
    char *problem = find_image_problem (bytes, length, &image, device);
    if (problem != NULL)
      return problem;
    has_x86 = has_x86 || image.code == CODE_X86;
    has_efi = has_efi || image.code == CODE_EFI;
    image.start += image.length;
  }
  if (length == 0)
    return g_strdup ("it is empty");
  if (!bios && !has_efi)
    return g_strdup (
      "it has no part for UEFI, which the guest's firmware is: the screen stays dark until the guest has "
      "loaded its driver");
  if (bios && !has_x86)
    return g_strdup ("it has no part for a BIOS, which the guest's firmware is: the screen stays dark until the guest "
                     "has loaded its driver");
  return NULL;
}
