/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which label a file of ours gets; the kernel need not have SELinux. */
#include <glib.h>
#include <selinux/selinux.h>

#include "base/label.h"
#include "config.h"

#define OURS "system_u:object_r:vfioprofile_wrapper_exec_t:s0"
#define PLAIN "system_u:object_r:var_lib_t:s0"

static void
test_wrong_type (void)
{
  g_autofree char *label = vp_label_dup_mended ("unconfined_u:object_r:user_home_t:s0:c1", OURS, PLAIN);

  /* As restorecon: who made it, and its categories, stay. */
  g_assert_cmpstr (label, ==, "unconfined_u:object_r:vfioprofile_wrapper_exec_t:s0:c1");
}

static void
test_right_type (void)
{
  g_assert_null (vp_label_dup_mended (OURS, OURS, PLAIN));
  g_assert_null (vp_label_dup_mended ("unconfined_u:object_r:vfioprofile_wrapper_exec_t:s0", OURS, PLAIN));
}

/* The recipe of old: qemu_exec_t for the folder, by a rule of the administrator's or by chcon alone. */
static void
test_without_module (void)
{
  static const char qemu[] = "system_u:object_r:qemu_exec_t:s0";
  g_autofree char *label = vp_label_dup_mended (PLAIN, qemu, PLAIN);

  g_assert_cmpstr (label, ==, qemu);
  g_assert_null (vp_label_dup_mended (qemu, PLAIN, PLAIN));
}

static void
test_no_label (void)
{
  g_assert_null (vp_label_dup_mended ("not a label", OURS, PLAIN));
  g_assert_null (vp_label_dup_mended (PLAIN, "", PLAIN));
}

static void
test_ensure (void)
{
  if (is_selinux_enabled () == 1) {
    g_test_skip ("SELinux is on: labels would change");
    return;
  }
  vp_label_ensure (VP_STATE_FOLDER "/emulators");
  vp_label_ensure (VP_STATE_FOLDER "/no/such/file");
  vp_label_ensure ("/etc/passwd");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/label/wrong-type", test_wrong_type);
  g_test_add_func ("/label/right-type", test_right_type);
  g_test_add_func ("/label/without-module", test_without_module);
  g_test_add_func ("/label/no-label", test_no_label);
  g_test_add_func ("/label/off", test_ensure);
  return g_test_run ();
}
