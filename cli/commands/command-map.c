/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* map: the host as boxes, and which guest holds which CPU. Writes nothing but the picture asked for. */
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/source.h"
#include "cli/map/map-view.h"

typedef struct {
  char *svg; /* a file, or "-"; NULL: no picture */
  gboolean ascii;
  gboolean json;
} Options;

static void
free_guest (gpointer guest)
{
  vp_map_guest_free (guest);
}

/* What runs now, or what would start. NULL without an error: it vanished since it was listed. */
static VpMapGuest *
read_guest (virDomainPtr handle, GError **error)
{
  gboolean running = virDomainIsActive (handle) == 1;
  g_autofree char *what = g_strdup_printf ("the definition of domain '%s'", virDomainGetName (handle));
  g_autofree char *text = virDomainGetXMLDesc (handle, running ? 0 : VIR_DOMAIN_XML_INACTIVE);

  if (text == NULL) {
    if (virGetLastErrorCode () != VIR_ERR_NO_DOMAIN)
      vp_libvirt_set_error (error, "cannot read %s", what);
    return NULL;
  }
  g_autoptr (VpDomain) domain = vp_domain_parse (text, strlen (text), what, error);
  return domain != NULL ? vp_map_guest_new (domain, running ? VP_MAP_RUNNING : VP_MAP_STOPPED) : NULL;
}

static gboolean
read_libvirt (virConnectPtr connection, GPtrArray *guests, GError **error)
{
  g_autoptr (GPtrArray) handles = vp_libvirt_list (connection, 0, error);
  GError *problem = NULL;

  if (handles == NULL)
    return FALSE;
  for (guint i = 0; i < handles->len && problem == NULL; i++) {
    VpMapGuest *guest = read_guest (handles->pdata[i], &problem);
    if (guest != NULL)
      g_ptr_array_add (guests, guest);
  }
  if (problem != NULL)
    g_propagate_error (error, problem);
  return problem == NULL;
}

static gboolean
read_files (char **files, GPtrArray *guests, GError **error)
{
  for (guint i = 0; files[i] != NULL; i++) {
    g_autoptr (VpDomain) domain = vp_source_read_file (files[i], error);
    if (domain == NULL)
      return FALSE;
    g_ptr_array_add (guests, vp_map_guest_new (domain, VP_MAP_FILE));
  }
  return TRUE;
}

/* A rename over a device or a pipe would take it away. */
static gboolean
write_picture (const char *path, const char *text, GError **error)
{
  g_autoptr (GError) problem = NULL;

  if (strcmp (path, "-") == 0)
    return vp_output_write (text, error);
  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR)) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO,
                 "cannot write the picture to %s: it is no regular file; \"-\" is the "
                 "standard output",
                 path);
    return FALSE;
  }
  if (g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0666, &problem))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot write the picture: %s", problem->message);
  return FALSE;
}

static gboolean
show (const VpMap *map, const Options *options, GError **error)
{
  if (options->json)
    return vp_output_json (vp_map_to_json (map), error);
  if (options->svg != NULL) {
    g_autofree char *picture = vp_map_dup_svg (map, error);
    return picture != NULL && write_picture (options->svg, picture, error);
  }
  g_autofree char *text = vp_map_dup_text (map, options->ascii || !g_get_charset (NULL), vp_output_has_colour ());
  return vp_output_write (text, error);
}

static gboolean
read_and_show (const VpSource *source, const Options *options, char **files, GError **error)
{
  g_autoptr (GPtrArray) guests = g_ptr_array_new_with_free_func (free_guest);
  gboolean asks = files[0] == NULL;
  g_autoptr (VpInput) input = vp_input_new (source, asks, error);

  if (input == NULL || !(asks ? read_libvirt (input->connection, guests, error) : read_files (files, guests, error)) ||
      !vp_input_load_host (input, error))
    return FALSE;
  g_autoptr (VpMap) map = vp_map_new (input->host->topology, g_steal_pointer (&guests));
  return show (map, options, error);
}

static gboolean
run_map (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  Options options = { 0 };
  const GOptionEntry entries[] = { { "svg", 0, 0, G_OPTION_ARG_FILENAME, &options.svg,
                                     "Write a picture to FILE (\"-\": standard output) instead of the text", "FILE" },
                                   { "ascii", 0, 0, G_OPTION_ARG_NONE, &options.ascii,
                                     "Draw with plain ASCII characters", NULL },
                                   { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON", NULL },
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry shared[] = { VP_SOURCE_ENTRY_CONNECT (&source), VP_SOURCE_ENTRIES_HOST (&source),
                                  G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, shared };
  gboolean version = FALSE;
  gboolean parsed = vp_command_parse (command, groups, &argc, &argv, &version, error);
  g_autofree char *svg = options.svg;

  if (!parsed || version)
    return version;
  if ((svg != NULL) + options.ascii + options.json > 1) {
    vp_command_set_usage (command, error, "map takes one of --svg, --ascii and --json");
    return FALSE;
  }
  return read_and_show (&source, &options, argv + 1, error);
}

const VpCommand vp_command_map = {
  "map",
  "[FILE…]",
  "Show the host's CPUs and which guest holds them",
  "Without FILE it shows all domains of libvirt; with it the definitions there, and needs no libvirt.",
  0,
  G_MAXINT,
  run_map,
};
