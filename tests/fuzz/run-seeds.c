/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target once over each file of the folders named, so that seeds are ordinary tests;
 * and over what the target's mutator, if it has one, makes of each, always the same.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_MAX (1u << 20)
#define MUTATIONS 12 /* of a seed */
#define IN_A_ROW 6   /* then from the seed again */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed) __attribute__ ((weak));

/* On a copy as long as what is in it, so that the sanitizers see who reads beyond it. */
static void
run_mutations (uint8_t *data, size_t size)
{
  uint8_t *seed = malloc (size + 1);
  size_t length = size;

  if (seed == NULL)
    abort ();
  memcpy (seed, data, size);
  for (unsigned int i = 0; LLVMFuzzerCustomMutator != NULL && i < MUTATIONS; i++) {
    if (i % IN_A_ROW == 0)
      memcpy (data, seed, length = size);
    length = LLVMFuzzerCustomMutator (data, length, SEED_MAX, i);
    uint8_t *copy = malloc (length + 1);
    if (copy == NULL)
      abort ();
    memcpy (copy, data, length);
    (void) LLVMFuzzerTestOneInput (copy, length);
    free (copy);
  }
  free (seed);
}

static int
run_file (const char *path)
{
  FILE *file = fopen (path, "rb");
  uint8_t *data = malloc (SEED_MAX);
  int bad = file == NULL || data == NULL;

  if (bad) {
    perror (path);
  } else {
    size_t size = fread (data, 1, SEED_MAX, file);
    bad = ferror (file) != 0;
    if (!bad) {
      (void) LLVMFuzzerTestOneInput (data, size);
      run_mutations (data, size);
    }
  }
  if (file != NULL)
    (void) fclose (file);
  free (data);
  return bad;
}

/* The number of files, or -1. */
static int
run_folder (const char *folder)
{
  DIR *dir = opendir (folder);
  int count = 0;

  if (dir == NULL) {
    perror (folder);
    return -1;
  }
  for (struct dirent *entry = readdir (dir); entry != NULL && count >= 0; entry = readdir (dir)) {
    char path[4096];
    struct stat info;

    if (snprintf (path, sizeof path, "%s/%s", folder, entry->d_name) >= (int) sizeof path || stat (path, &info) != 0 ||
        !S_ISREG (info.st_mode))
      continue;
    count = run_file (path) != 0 ? -1 : count + 1;
  }
  (void) closedir (dir);
  return count;
}

int
main (int argc, char **argv)
{
  int total = 0;

  for (int i = 1; i < argc; i++) {
    int count = run_folder (argv[i]);
    if (count < 0)
      return 1;
    total += count;
  }
  printf ("%d inputs\n", total);
  return total == 0; /* seeds that are not found are no success */
}
