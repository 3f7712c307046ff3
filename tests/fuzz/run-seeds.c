/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target once over each file of the folders named, so that seeds are ordinary tests. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SEED_MAX (1u << 20)

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

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
    if (!bad)
      (void) LLVMFuzzerTestOneInput (data, size);
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
