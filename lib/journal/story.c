/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A text file, written anew with each line; what is lost by a crash is a line. */
#include "journal/story.h"

#include <string.h>

#define MAX_LINES 200u
#define MAX_BYTES (256u * 1024)

struct VpStory {
  const VpRoot *root;
  char *path;
  GPtrArray *lines;
};

VpStory *
vp_story_load (const VpRoot *root, const char *run_folder)
{
  VpStory *story = g_new0 (VpStory, 1);

  story->root = root;
  story->path = g_build_filename (run_folder + strspn (run_folder, "/"), VP_STORY_FILE, NULL);
  story->lines = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = vp_root_load_own (root, story->path, MAX_BYTES, NULL);
  g_auto (GStrv) lines = g_strsplit (text != NULL && g_utf8_validate (text, -1, NULL) ? text : "", "\n", -1);
  for (guint i = 0; lines[i] != NULL && story->lines->len < MAX_LINES; i++)
    if (lines[i][0] != '\0')
      g_ptr_array_add (story->lines, g_strdup (lines[i]));
  return story;
}

void
vp_story_free (VpStory *story)
{
  if (story == NULL)
    return;
  g_ptr_array_unref (story->lines);
  g_free (story->path);
  g_free (story);
}

const GPtrArray *
vp_story_get_lines (const VpStory *story)
{
  return story->lines;
}

void
vp_story_begin (VpStory *story)
{
  g_ptr_array_set_size (story->lines, 0);
}

void
vp_story_add (VpStory *story, const char *line)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%H:%M:%S");
  g_autofree char *shown = g_strescape (line, NULL);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  if (story->lines->len >= MAX_LINES)
    g_ptr_array_remove_range (story->lines, 0, story->lines->len - MAX_LINES + 1);
  g_ptr_array_add (story->lines, g_strdup_printf ("%s %s", time, shown));
  for (guint i = 0; i < story->lines->len; i++)
    g_string_append_printf (text, "%s\n", (const char *) story->lines->pdata[i]);
  if (!vp_root_store_unsynced (story->root, story->path, text->str, &error))
    g_warning ("%s; what the handover did is in the log alone", error->message);
}
