/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What 'status' prints below a domain. */
#include "cli/status/status.h"

static void
test_holds (void)
{
  static const char *const holds[] = { "unit lightdm.service is not back yet", NULL };
  VpStatus status = { .name = (char *) "win10", .profile = (char *) "one-card", .state = VP_STATUS_READY };
  g_autoptr (GPtrArray) all = g_ptr_array_new ();

  status.holds = (GStrv) holds;
  g_ptr_array_add (all, &status);
  if (g_test_subprocess ()) {
    vp_status_print (all);
    status.running = TRUE;
    vp_status_print (all);
    return;
  }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout ("*still held: unit lightdm.service is not back yet\n*holds unit*");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/status/holds", test_holds);
  return g_test_run ();
}
