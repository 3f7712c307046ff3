/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vfio-profile-emulator: the #! interpreter of the wrapper files that vfio-profiled writes
 * for libvirt's <emulator>. The kernel runs it as "INTERPRETER WRAPPER ARGUMENTS…". It sets
 * x-vga on the marked devices and becomes the real QEMU; everything else goes on as it came:
 * arguments, environment, descriptors, signals, libvirt's capability probe. It prints nothing
 * unless it fails, or a marked device gets no x-vga: libvirt reads its stdout and stderr as QEMU's.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/emulator-args.h"
#include "hooks/emulator-file.h"

/* As a shell says it. */
#define EXIT_REFUSED 126
#define EXIT_NOT_RUN 127

#define SHOWN_MAX 200 /* bytes of an argument */

static const char help_text[] =
  "Usage: vfio-profile-emulator WRAPPER [QEMU-ARGUMENT...]\n"
  "\n"
  "Runs the QEMU that the file WRAPPER names, with x-vga set on the devices that\n"
  "vfio-profile marked. The kernel starts it for the wrappers that vfio-profiled writes;\n"
  "there is no need to start it by hand. See vfio-profiled(8).\n"
  "\n"
  "  --help     show this text\n"
  "  --version  show the version\n"
  "\n"
  "Exit status: QEMU's own; 126 the wrapper is refused, 127 QEMU cannot be run, 2 wrong usage.\n";

/* One line in QEMU's log, whatever is in the argument. */
static void
say_missed (const char *device)
{
  fputs ("vfio-profile: a device that is marked for x-vga could not be given it, and QEMU gets it as it is: ", stderr);
  for (size_t i = 0; device[i] != '\0' && i < SHOWN_MAX; i++)
    fputc (device[i] >= ' ' && device[i] <= '~' ? device[i] : '?', stderr);
  fputc ('\n', stderr);
}

/* Returns only if QEMU could not be started. */
static int
run_emulator (const char *wrapper, char *const *argv)
{
  VpEmulatorFile file;

  if (!vp_emulator_file_read (wrapper, &file)) {
    fprintf (stderr,
             "vfio-profile: the emulator wrapper %s is refused: %s; restart vfio-profiled, it writes the "
             "file anew\n",
             wrapper, file.reason);
    return EXIT_REFUSED;
  }

  char **arguments = vp_emulator_args_rewrite (argv, say_missed);
  if (arguments == NULL) {
    fprintf (stderr, "vfio-profile: cannot run %s: no memory for its arguments\n", file.emulator);
    return EXIT_NOT_RUN;
  }

  /* argv[0] is the wrapper's path, which is never a value of -device. */
  arguments[0] = file.emulator;
  execv (file.emulator, arguments);
  fprintf (stderr,
           "vfio-profile: cannot run %s, the emulator of the wrapper %s: %s; install it, or set the domain's "
           "<emulator> to one that is there\n",
           file.emulator, wrapper, strerror (errno));
  arguments[0] = argv[0];
  vp_emulator_args_free (arguments, argv);
  return EXIT_NOT_RUN;
}

int
main (int argc, char **argv)
{
  if (argc < 2) {
    fputs ("vfio-profile-emulator: the path of a wrapper file is needed: see --help\n", stderr);
    return 2;
  }
  /* The kernel puts the wrapper's path here, so an option can only come from a person. */
  if (strcmp (argv[1], "--help") == 0)
    return fputs (help_text, stdout) == EOF || fflush (stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
  if (strcmp (argv[1], "--version") == 0) {
    printf ("vfio-profile-emulator %s\n", VP_VERSION);
    return fflush (stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
  }
  return run_emulator (argv[1], argv + 1);
}
