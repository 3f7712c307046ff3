/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few pages of this machine's own kernel, allocated and given back. Root only; the pool ends as it was. */
#include "daemon/hold/book.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "daemon/hold/kernel-pages.h"

#define KIB_2M G_GUINT64_CONSTANT (2048)
#define GUEST "aaaaaaaa-0000-4000-8000-000000000001"

static GArray *
make_need (guint64 pages)
{
  GArray *needs = g_array_new (FALSE, TRUE, sizeof (VpPageNeed));
  VpPageNeed need = { KIB_2M, pages, NULL, FALSE };

  g_array_append_val (needs, need);
  return needs;
}

/* Of all nodes. */
static guint64
count_pages (const VpRoot *root)
{
  g_autoptr (GArray) nodes = vp_kernel_pages_nodes (root, KIB_2M);
  guint64 count = 0;

  for (guint i = 0; i < nodes->len; i++) {
    VpKernelPages pages;
    g_autoptr (GError) error = NULL;
    g_assert_true (vp_kernel_pages_read (root, g_array_index (nodes, int, i), KIB_2M, &pages, &error));
    count += pages.persistent + pages.surplus;
  }
  return count;
}

static guint64
count_held (VpBook *book)
{
  g_autoptr (VpHolding) holding = vp_book_dup (book, GUEST);
  guint64 count = 0;

  for (guint i = 0; holding != NULL && i < holding->records->len; i++)
    count += ((const VpHoldingRecord *) holding->records->pdata[i])->pages.count;
  return count;
}

/* The first node's, as it is: for the kernel that is no change. */
static gboolean
is_writable (const VpRoot *root)
{
  g_autoptr (GArray) nodes = vp_kernel_pages_nodes (root, KIB_2M);
  VpKernelPages pages;

  return nodes->len > 0 && vp_kernel_pages_read (root, g_array_index (nodes, int, 0), KIB_2M, &pages, NULL) &&
         vp_kernel_pages_write (root, pages.node, KIB_2M, pages.persistent, NULL, NULL);
}

static void
test_kernel (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpRoot) root = vp_root_open ("/", &error);
  g_autofree char *parent = NULL;

  g_assert_no_error (error);
  if (geteuid () != 0) {
    g_test_skip ("not root: hugepage pools cannot be changed");
    return;
  }
  if (!is_writable (root)) {
    g_test_skip ("this machine's pool of 2M pages cannot be changed");
    return;
  }
  parent = g_dir_make_tmp ("vp-book-XXXXXX", &error);
  guint64 before = count_pages (root);
  {
    g_autoptr (VpBook) book = vp_book_new (root, parent, &error);
    g_autoptr (GArray) needs = make_need (before + 8);
    g_assert_no_error (error);
    gboolean taken =
      vp_book_take_pages (book, GUEST, "guest", needs, TRUE, g_get_monotonic_time () + 5 * G_TIME_SPAN_SECOND, &error);
    g_assert_no_error (error);
    g_assert_true (taken);
    g_assert_cmpuint (count_held (book), >=, 8); /* more where others use pages of the pool */
    g_assert_cmpuint (count_pages (root), ==, before + count_held (book));
  }
  /* The daemon ended; the next one is told that the guest does not run. */
  g_autoptr (VpBook) book = vp_book_new (root, parent, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (count_held (book), >=, 8);
  vp_book_reconcile (book, (const char *const[]){ NULL });
  g_assert_false (vp_book_retry (book));
  g_assert_cmpuint (count_pages (root), ==, before);
  g_autofree char *folder = g_build_filename (parent, "holds", NULL);
  g_assert_cmpint (g_rmdir (folder), ==, 0); /* it is empty */
  g_assert_cmpint (g_rmdir (parent), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/book/kernel", test_kernel);
  return g_test_run ();
}
