/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the last handover of a card did, line by line: whoever started the guest from the desktop that went
 * lost the terminal with it. A file in the run folder; everybody reads it here, the daemon alone writes.
 */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

#define VP_STORY_FILE "handover" /* in the run folder */

typedef struct VpStory VpStory;

/* With the lines that are there; the caller's. `root` stays the caller's; the folder is a path below it. */
VpStory *vp_story_load (const VpRoot *root, const char *run_folder);
void vp_story_free (VpStory *story);
/* Of char *, "06:15:39 win10: lightdm.service is stopped", oldest first; the story's. */
const GPtrArray *vp_story_get_lines (const VpStory *story);

/* For the daemon, one thread at a time: forgets what was told before. */
void vp_story_begin (VpStory *story);
/* One more line, with the time, in the file too. */
void vp_story_add (VpStory *story, const char *line);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpStory, vp_story_free)

G_END_DECLS
