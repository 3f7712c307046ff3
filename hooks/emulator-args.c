/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which argument is a -device? QEMU's options do not say by themselves whether a value
 * follows, and a value may be any text: `<cmdline>-device</cmdline>` in a domain gives
 * "-append", "-device". But libvirt writes nothing except options, each with at most one
 * value, never a bare disk image; so behind a "-device" that is a value comes the next
 * option or the end. An option begins with '-' and the value of a real -device never does
 * (it begins with a driver's name or with '{'). Hence: "-device" or "--device" followed by
 * an argument that does not begin with '-' is a device; no list of QEMU's options is needed.
 *
 * libvirt 7 and QEMU 6.2 or newer: JSON; older ones: driver,key=value,… where a comma in a
 * value is doubled. What cannot be read as either, QEMU shall judge: it passes untouched.
 *
 * JSON is read to find driver, id and x-vga, leniently: what json-c takes or refuses beyond
 * that differs from version to version (0.18 takes no byte above 0x7f in strict mode). The
 * property is put in before the last brace, the text stays, and so QEMU judges that, too.
 */
#include "hooks/emulator-args.h"

#include <json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/x-vga-mark.h"

/* The kernel lets no single argument be longer (MAX_ARG_STRLEN). */
#define ARGUMENT_MAX ((size_t) 128 * 1024)

/* libvirt's own devices need 3. */
#define JSON_DEPTH_MAX 16

#define X_VGA "x-vga"
#define X_VGA_ON "x-vga=on"

/* What became of one argument. */
typedef enum {
  ARGUMENT_KEPT,
  ARGUMENT_NEW,
  ARGUMENT_MISSED, /* kept, though it has the mark, or may have it */
  ARGUMENT_NO_MEMORY,
} Outcome;

/* One part of the comma form, as it stands in the argument. */
typedef struct {
  const char *name; /* NULL for the driver without a name in front */
  size_t name_size;
  const char *value; /* escapes and all; NULL for a flag without '=' */
  size_t value_size;
  const char *start;
  const char *end; /* the comma behind it, or the end of the argument */
} Part;

static bool
is_driver (const char *driver)
{
  static const char *const drivers[] = { "vfio-pci", "vfio-pci-nohotplug" };

  for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
    if (strcmp (drivers[i], driver) == 0)
      return true;
  }
  return false;
}

/* --- JSON ------------------------------------------------------------------------- */

/* NULL unless the whole text is one object. */
static json_object *
parse_object (const char *text, size_t size)
{
  json_tokener *tokener = json_tokener_new_ex (JSON_DEPTH_MAX);
  json_object *object;

  if (tokener == NULL)
    return NULL;
  object = json_tokener_parse_ex (tokener, text, (int) size);
  if (json_tokener_get_error (tokener) != json_tokener_success || json_tokener_get_parse_end (tokener) != size ||
      !json_object_is_type (object, json_type_object)) {
    json_object_put (object);
    object = NULL;
  }
  json_tokener_free (tokener);
  return object;
}

/* The string at `key`; NULL when it is something else or holds a NUL. */
static const char *
get_string (const json_object *object, const char *key)
{
  json_object *member;

  if (!json_object_object_get_ex (object, key, &member) || !json_object_is_type (member, json_type_string))
    return NULL;

  const char *string = json_object_get_string (member);
  return strlen (string) == (size_t) json_object_get_string_len (member) ? string : NULL;
}

/* What is to become of it: kept, new or missed. */
static Outcome
judge_object (const json_object *object)
{
  const char *driver = get_string (object, "driver");
  const char *id = get_string (object, "id");
  json_object *x_vga;

  if (id == NULL || !vp_x_vga_mark_is (id))
    return ARGUMENT_KEPT;
  if (driver == NULL || !is_driver (driver))
    return ARGUMENT_MISSED;
  return json_object_object_get_ex (object, X_VGA, &x_vga) && json_object_is_type (x_vga, json_type_boolean) &&
             json_object_get_boolean (x_vga)
           ? ARGUMENT_KEPT
           : ARGUMENT_NEW;
}

/* A second x-vga would be one too many for QEMU: only then the object is written anew. NULL: no memory. */
static char *
dup_with_x_vga (const char *argument, size_t size, json_object *object)
{
  json_object *on;
  char *text = NULL;

  if (!json_object_object_get_ex (object, X_VGA, NULL))
    return asprintf (&text, "%.*s,\"" X_VGA "\":true}", (int) size - 1, argument) >= 0 ? text : NULL;

  on = json_object_new_boolean (1);
  if (on == NULL || json_object_object_add (object, X_VGA, on) != 0) {
    json_object_put (on);
    return NULL;
  }
  const char *plain = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
  return plain != NULL ? strdup (plain) : NULL;
}

static Outcome
rewrite_json (const char *argument, char **new_argument)
{
  const size_t size = strlen (argument);
  json_object *object = size <= ARGUMENT_MAX ? parse_object (argument, size) : NULL;

  if (object == NULL)
    return strstr (argument, VP_X_VGA_MARK_SUFFIX) != NULL ? ARGUMENT_MISSED : ARGUMENT_KEPT;

  Outcome outcome = judge_object (object);
  if (outcome == ARGUMENT_NEW) {
    char *text = dup_with_x_vga (argument, size, object);
    if (text != NULL)
      *new_argument = text;
    else
      outcome = ARGUMENT_NO_MEMORY;
  }
  json_object_put (object);
  return outcome;
}

/* --- driver,key=value ------------------------------------------------------------- */

/* The end of a value: the first comma that is not doubled. */
static const char *
find_value_end (const char *value)
{
  for (;;) {
    value += strcspn (value, ",");
    if (value[0] == '\0' || value[1] != ',')
      return value;
    value += 2;
  }
}

/* The part that begins at `start`, cut as QEMU does it: only values know escapes, and the
 * first part without '=' is the driver. */
static Part
read_part (const char *start, bool is_first)
{
  const size_t size = strcspn (start, "=,");
  Part part = { .start = start };

  if (start[size] == '=') {
    part.name = start;
    part.name_size = size;
    part.value = start + size + 1;
    part.end = find_value_end (part.value);
    part.value_size = (size_t) (part.end - part.value);
  } else if (is_first) {
    part.value = start;
    part.end = find_value_end (start);
    part.value_size = (size_t) (part.end - start);
  } else {
    part.name = start;
    part.name_size = size;
    part.end = start + size;
  }
  return part;
}

static bool
is_called (const Part *part, const char *name)
{
  return part->name != NULL && part->name_size == strlen (name) && memcmp (part->name, name, part->name_size) == 0;
}

/* The value without its escapes; NULL when memory runs out. */
static char *
dup_value (const Part *part)
{
  char *value = malloc (part->value_size + 1);
  size_t size = 0;

  if (value == NULL)
    return NULL;
  for (size_t i = 0; i < part->value_size; i++) {
    value[size++] = part->value[i];
    if (part->value[i] == ',')
      i++;
  }
  value[size] = '\0';
  return value;
}

/* New where the driver is ours and the id carries the mark. QEMU takes the first id, the last driver. */
static Outcome
judge_comma (const char *argument)
{
  const char *next = argument;
  bool has_driver = false;
  bool has_id = false;
  bool has_mark = false;

  for (bool is_first = true; *next != '\0'; is_first = false) {
    const Part part = read_part (next, is_first);
    const bool names_driver = (is_first && part.name == NULL) || is_called (&part, "driver");
    const bool names_id = !has_id && is_called (&part, "id");

    if (part.value != NULL && (names_driver || names_id)) {
      char *value = dup_value (&part);
      if (value == NULL)
        return ARGUMENT_NO_MEMORY;
      if (names_driver)
        has_driver = is_driver (value);
      else
        has_mark = vp_x_vga_mark_is (value);
      has_id = has_id || names_id;
      free (value);
    }
    next = *part.end == ',' ? part.end + 1 : part.end;
  }
  if (!has_mark)
    return ARGUMENT_KEPT;
  return has_driver ? ARGUMENT_NEW : ARGUMENT_MISSED;
}

/*
 * Writes `argument` with each x-vga=VALUE on, or one at its end; returns false if it was so
 * already. A bare "x-vga" means on and stays: behind a flag two commas are two separators, but
 * behind a value they would be an escape.
 */
static bool
write_with_x_vga (const char *argument, char *out)
{
  const char *next = argument;
  bool is_there = false;
  bool is_changed = false;
  bool ends_with_comma = false;

  for (bool is_first = true; *next != '\0'; is_first = false) {
    const Part part = read_part (next, is_first);
    const size_t size = (size_t) (part.end - part.start);
    const bool is_x_vga = is_called (&part, X_VGA);
    const bool is_wrong =
      is_x_vga && part.value != NULL && (size != strlen (X_VGA_ON) || memcmp (part.start, X_VGA_ON, size) != 0);

    is_there = is_there || is_x_vga;
    is_changed = is_changed || is_wrong;
    out = is_wrong ? stpcpy (out, X_VGA_ON) : mempcpy (out, part.start, size);
    ends_with_comma = *part.end == ',';
    if (ends_with_comma)
      *out++ = ',';
    next = part.end + (ends_with_comma ? 1 : 0);
  }

  /* A second comma behind one that ends the argument would make an escape of both. */
  if (!is_there)
    out = stpcpy (out, ends_with_comma ? X_VGA_ON : "," X_VGA_ON);
  *out = '\0';
  return is_changed || !is_there;
}

static Outcome
rewrite_comma (const char *argument, char **new_argument)
{
  const Outcome outcome = judge_comma (argument);

  if (outcome != ARGUMENT_NEW)
    return outcome;

  /* At most each "x-vga=" becomes "x-vga=on", and one is added at the end. */
  char *out = malloc (2 * strlen (argument) + sizeof "," X_VGA_ON);
  if (out == NULL)
    return ARGUMENT_NO_MEMORY;
  if (!write_with_x_vga (argument, out)) {
    free (out);
    return ARGUMENT_KEPT;
  }
  *new_argument = out;
  return ARGUMENT_NEW;
}

/* --- the list --------------------------------------------------------------------- */

static bool
is_device_option (const char *argument)
{
  return strcmp (argument, "-device") == 0 || strcmp (argument, "--device") == 0;
}

static Outcome
rewrite_device (const char *argument, char **new_argument)
{
  return argument[0] == '{' ? rewrite_json (argument, new_argument) : rewrite_comma (argument, new_argument);
}

void
vp_emulator_args_free (char **rewritten, char *const *arguments)
{
  if (rewritten == NULL)
    return;
  for (size_t i = 0; arguments[i] != NULL; i++) {
    if (rewritten[i] != arguments[i])
      free (rewritten[i]);
  }
  free (rewritten);
}

char **
vp_emulator_args_rewrite (char *const *arguments, VpEmulatorMissed *missed)
{
  size_t n_arguments = 0;

  while (arguments[n_arguments] != NULL)
    n_arguments++;

  char **rewritten = calloc (n_arguments + 1, sizeof *rewritten);
  if (rewritten == NULL)
    return NULL;
  memcpy (rewritten, arguments, n_arguments * sizeof *rewritten);

  for (size_t i = 1; i < n_arguments; i++) {
    if (!is_device_option (arguments[i - 1]) || arguments[i][0] == '-')
      continue;
    const Outcome outcome = rewrite_device (arguments[i], &rewritten[i]);
    if (outcome == ARGUMENT_MISSED && strstr (arguments[i], "vfio") != NULL) /* else an alias of the user's own */
      missed (arguments[i]);
    if (outcome == ARGUMENT_NO_MEMORY) {
      vp_emulator_args_free (rewritten, arguments);
      return NULL;
    }
  }
  return rewritten;
}
