/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ROM files as they are, of another card, cut off, and made to lead out of themselves. */
#include <string.h>

#include "devices/device-rom.h"

#define SIZE 1024u

static const VpPciDevice card = { .vendor = 0x1002, .device = 0x67df };

/* One image of two units. */
static void
make (guint8 *at, guint16 device, guint8 code, gboolean last)
{
  guint8 sum = 0;

  memset (at, 0, SIZE);
  at[0] = 0x55, at[1] = 0xaa, at[2] = SIZE / 512;
  at[0x18] = 0x40;
  memcpy (at + 0x40, "PCIR\x02\x10", 6);
  at[0x46] = (guint8) device, at[0x47] = (guint8) (device >> 8);
  at[0x4a] = 0x18;
  at[0x50] = SIZE / 512;
  at[0x54] = code;
  at[0x55] = last ? 0x80 : 0;
  for (guint i = 0; i < SIZE; i++)
    sum = (guint8) (sum + at[i]);
  at[SIZE - 1] = (guint8) (0x100 - sum);
}

static void
expect (const guint8 *bytes, gsize length, gboolean bios, const char *words)
{
  /* Of its own size, so that a tool sees who reads past it. */
  g_autofree guint8 *copy = g_memdup2 (bytes, length);
  g_autofree char *problem = vp_rom_find_problem (copy, length, &card, bios);

  if (words == NULL)
    g_assert_cmpstr (problem, ==, NULL);
  else if (problem == NULL || strstr (problem, words) == NULL)
    g_error ("'%s' does not say '%s'", problem != NULL ? problem : "", words);
}

static void
test_good (void)
{
  guint8 rom[2 * SIZE];

  make (rom, 0x67df, 0, TRUE);
  expect (rom, SIZE, TRUE, NULL);
  expect (rom, SIZE, FALSE, "no part for UEFI");
  make (rom, 0x67df, 0, FALSE);
  make (rom + SIZE, 0x67df, 3, TRUE);
  expect (rom, sizeof rom, TRUE, NULL);
  expect (rom, sizeof rom, FALSE, NULL);
  rom[2 * SIZE - 1] ^= 1; /* of an EFI image there is no checksum */
  expect (rom, sizeof rom, FALSE, NULL);
  expect (rom + SIZE, SIZE, TRUE, "no part for a BIOS");
}

static void
test_bad (void)
{
  guint8 rom[SIZE];

  make (rom, 0x67df, 0, TRUE);
  expect (rom, 0, TRUE, "empty");
  expect (rom, SIZE - 1, TRUE, "cut off");
  expect (rom + 1, SIZE - 1, TRUE, "no ROM image: '55 aa'");
  rom[100] ^= 1;
  expect (rom, SIZE, TRUE, "checksum");
  make (rom, 0x6811, 0, TRUE);
  expect (rom, SIZE, TRUE, "for 1002:6811, and the card is 1002:67df");
  make (rom, 0x67df, 0, FALSE);
  expect (rom, SIZE, TRUE, NULL); /* it says that more follow, and the file ends: firmware reads no further either */
  make (rom, 0x67df, 0, TRUE);
  rom[0x18] = 0xff, rom[0x19] = 0xff;
  expect (rom, SIZE, TRUE, "'PCIR'");
  make (rom, 0x67df, 0, TRUE);
  rom[0x50] = 0;
  expect (rom, SIZE, TRUE, "cut off");
}

/* Whatever stands there, and however long it is. */
static void
test_any (void)
{
  guint8 rom[SIZE];

  for (int i = 0; i < 20000; i++) {
    make (rom, 0x67df, 0, g_test_rand_int_range (0, 2) == 0);
    for (int j = 0; j < 4; j++)
      rom[g_test_rand_int_range (0, 0x60)] = (guint8) g_test_rand_int ();
    gsize length = (gsize) g_test_rand_int_range (0, (gint32) SIZE + 1);
    g_autofree guint8 *copy = g_memdup2 (rom, length);
    g_autofree char *problem = vp_rom_find_problem (copy, length, &card, TRUE);
    g_assert_true (length == SIZE || problem != NULL || copy[0x50] * 512u <= length);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rom/good", test_good);
  g_test_add_func ("/rom/bad", test_bad);
  g_test_add_func ("/rom/any", test_any);
  return g_test_run ();
}
