/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the checks said, as a table and as JSON. Decides nothing. */
#include "cli/doctor/doctor.h"

#include "cli/base/output.h"

static const struct {
  const char *word;
  VpStyle style;
} levels[] = {
  [VP_CHECK_OK] = { "OK", VP_STYLE_GOOD },
  [VP_CHECK_WARN] = { "WARN", VP_STYLE_WARN },
  [VP_CHECK_FAIL] = { "FAIL", VP_STYLE_BAD },
};

void
vp_doctor_print (const VpDoctor *doctor)
{
  static const char *const heads[] = { "RESULT", "CHECK", "SEEN", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);

  for (guint i = 0; i < doctor->results->len; i++) {
    const VpCheckResult *result = doctor->results->pdata[i];
    const char *cells[] = { levels[result->level].word, result->check->title, result->seen, NULL };
    vp_table_add (table, 0, levels[result->level].style, cells);
    if (result->advice != NULL) {
      g_autofree char *line = g_strdup_printf ("to do: %s", result->advice);
      vp_table_note (table, line);
    }
  }
  vp_table_print (table);
  vp_output_line (VP_STYLE_HEAD, "%s: %u OK, %u WARN, %u FAIL", doctor->system->name,
                  vp_doctor_count (doctor, VP_CHECK_OK), vp_doctor_count (doctor, VP_CHECK_WARN),
                  vp_doctor_count (doctor, VP_CHECK_FAIL));
}

json_object *
vp_doctor_to_json (const VpDoctor *doctor)
{
  json_object *object = json_object_new_object ();
  json_object *checks = json_object_new_array ();

  for (guint i = 0; i < doctor->results->len; i++) {
    const VpCheckResult *result = doctor->results->pdata[i];
    json_object *one = json_object_new_object ();
    json_object_object_add (one, "check", vp_output_json_string (result->check->id));
    json_object_object_add (one, "title", vp_output_json_string (result->check->title));
    json_object_object_add (one, "result", vp_output_json_string (levels[result->level].word));
    json_object_object_add (one, "seen", vp_output_json_string (result->seen));
    json_object_object_add (one, "advice", vp_output_json_string (result->advice));
    json_object_array_add (checks, one);
  }
  json_object_object_add (object, "worst", vp_output_json_string (levels[vp_doctor_worst (doctor)].word));
  json_object_object_add (object, "domain",
                          vp_output_json_string (doctor->subject != NULL ? doctor->subject->name : NULL));
  json_object_object_add (object, "distribution", vp_output_json_string (doctor->system->name));
  json_object_object_add (object, "family", vp_output_json_string (vp_family_word (doctor->system->family)));
  json_object_object_add (object, "checks", checks);
  return object;
}
