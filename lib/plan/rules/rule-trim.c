/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest with its own card, monitor and keyboard needs no longer: the emulated
 * display, the tablet, the sound that nobody hears, and SPICE's channels, redirectors and
 * card readers. Guest-visible. Serial ports and consoles stay, and so do the guest agent's
 * channel, assigned devices, evdev inputs and shared memory: they are no emulated display.
 *
 * A <graphics> cannot always go: another device may draw on it or speak through it, and one
 * with a password cannot be remembered, as everybody may read the metadata. Then all of them
 * stay. libvirt gives a domain with <graphics> a <video>, unless it has one that says "none".
 */

#include <string.h>

#include "domain/aliases.h"
#include "plan/rules/rule.h"

#define MAX_OF_A_KIND 99u

/*
 * A device as libvirt describes it: attributes without paths. Its own pattern leaves out what names a file of the
 * host or a socket: a source, a log, a password, X's authority.
 */
#define ATTRIBUTE "/@[A-Za-z0-9_]{1,40}=" VP_CONTENT_WORD
#define ANY "(?:" ATTRIBUTE ")?"
#define OF_ALL "/alias" ANY "|/address" ANY "|/address/zpci" ANY
#define DEVICE(name, more) name "(?:" ATTRIBUTE "|" more "|" OF_ALL ")?"
#define RENDERNODE "/@rendernode=/dev/dri/(?:renderD[0-9]{1,4}|by-path/(?:pci|platform)-[0-9A-Za-z:._]{1,60}-render)"
#define VIDEO                                                                                                          \
  DEVICE ("video", "/driver" ANY "|/model" ANY "|/model/resolution" ANY "|/model/acceleration(?:" RENDERNODE ")?|"     \
                   "/model/acceleration" ANY)
#define GRAPHICS                                                                                                       \
  "graphics(?:/@(?:type|port|tlsPort|autoport|websocket|websocketGenerated|listen|keymap|sharePolicy|powerControl|"    \
  "defaultMode|display|fullscreen|replaceUser|multiUser|username|p2p|connected)=" VP_CONTENT_WORD "|"                  \
  "/listen(?:/@(?:type|address|network)=" VP_CONTENT_WORD ")?|/gl(?:" RENDERNODE ")?|"                                 \
  "/(?:channel|image|jpeg|zlib|playback|streaming|clipboard|mouse|filetransfer|gl|audio)" ANY ")?"
#define CHANNEL                                                                                                        \
  "channel(?:/@type=[a-z-]{1,20}|/target" ANY "|/source(?:/@channel=" VP_CONTENT_WORD ")?|"                            \
  "/source/(?:clipboard|mouse)" ANY "|" OF_ALL ")?"
#define AUDIO                                                                                                          \
  "audio(?:/@type=(?:spice|dbus)|/@id=[0-9]{1,9}|/@timerPeriod=[0-9]{1,20}|/(?:input|output)" ANY "|"                  \
  "/(?:input|output)/settings" ANY ")?"

/* Who still looks at, or types into, the guest through its <graphics>. */
typedef enum { VIEW_NONE, VIEW_LOOKING_GLASS, VIEW_MDEV } View;

static xmlNode *
devices_of (const VpDomain *domain)
{
  return vp_xml_find (domain->doc, "devices");
}

/* The next element behind `node` (NULL: the first of all) that has the name and the type; NULL as type: any. */
static xmlNode *
next_device (const VpDomain *domain, xmlNode *node, const char *name, const char *type)
{
  xmlNode *devices = node == NULL ? devices_of (domain) : NULL;

  node = node != NULL ? vp_xml_next (node) : devices != NULL ? vp_xml_first (devices) : NULL;
  while (node != NULL && !(vp_xml_is (node, name) && (type == NULL || vp_xml_attr_is (node, "type", type))))
    node = vp_xml_next (node);
  return node;
}

static guint
count_devices (const VpDomain *domain, const char *name, const char *type)
{
  guint count = 0;

  for (xmlNode *node = next_device (domain, NULL, name, type); node != NULL;
       node = next_device (domain, node, name, type))
    count++;
  return count;
}

/*
 * The last first, so that the places of those before it stay; down to the one that is number `least`. Each is looked
 * for by its number, so more than a guest can have are left alone.
 */
static void
want_gone (VpRuleContext *context, const char *name, const char *type, guint least, const char *reason)
{
  g_autofree char *which = type != NULL ? g_strdup_printf ("%s[@type='%s']", name, type) : g_strdup (name);
  guint count = count_devices (context->original, name, type);

  if (count > MAX_OF_A_KIND) {
    vp_rule_warn (context, "devices.trim leaves %u <%s> in the domain: more than %u are no guest's", count, name,
                  MAX_OF_A_KIND);
    return;
  }
  for (guint i = count; i >= least; i--)
    vp_rule_want (context, &vp_rule_trim, VP_GUEST_VISIBLE, g_strdup_printf ("devices/%s[%u]", which, i), NULL, "%s",
                  reason);
}

static gboolean
names_looking_glass (const char *text)
{
  return text != NULL && (strstr (text, "looking-glass") != NULL || strstr (text, "kvmfr") != NULL);
}

/* Its client shows the card's picture, and sends keys and sound through SPICE. */
static gboolean
has_looking_glass (const VpDomain *domain)
{
  for (xmlNode *node = next_device (domain, NULL, "shmem", NULL); node != NULL;
       node = next_device (domain, node, "shmem", NULL)) {
    g_autofree char *name = vp_xml_dup_attr (node, "name");
    if (names_looking_glass (name))
      return TRUE;
  }
  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL; node = vp_xml_next (node)) {
    g_autofree char *value = vp_xml_dup_attr (node, "value");
    if (names_looking_glass (value))
      return TRUE;
  }
  return FALSE;
}

static View
find_view (const VpDomain *domain)
{
  for (xmlNode *node = next_device (domain, NULL, "hostdev", "mdev"); node != NULL;
       node = next_device (domain, node, "hostdev", "mdev"))
    if (vp_xml_attr_is (node, "display", "on"))
      return VIEW_MDEV;
  return has_looking_glass (domain) ? VIEW_LOOKING_GLASS : VIEW_NONE;
}

/* A port that is never removed, with SPICE behind it. */
static gboolean
has_spice_port (const VpDomain *domain)
{
  static const char *const names[] = { "serial", "parallel", "console" };
  static const char *const types[] = { "spicevmc", "spiceport" };

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (types); j++)
      if (count_devices (domain, names[i], types[j]) > 0)
        return TRUE;
  return FALSE;
}

static gboolean
has_equal_device (const VpDomain *domain, const xmlNode *device)
{
  for (xmlNode *node = next_device (domain, NULL, (const char *) device->name, NULL); node != NULL;
       node = next_device (domain, node, (const char *) device->name, NULL))
    if (vp_xml_equal (node, device))
      return TRUE;
  return FALSE;
}

/*
 * libvirt shows no password to the hook, whose document has an id: one that stands there was left, or was added
 * a moment ago and goes at the next look at the definition.
 */
static gboolean
has_secret (const VpRuleContext *context)
{
  gboolean hidden = vp_domain_run (context->present) > 0;

  for (xmlNode *node = next_device (context->original, NULL, "graphics", NULL); node != NULL;
       node = next_device (context->original, node, "graphics", NULL)) {
    g_autofree char *password = vp_xml_dup_attr (node, "passwd");
    if (password != NULL || (hidden && has_equal_device (context->present, node)))
      return TRUE;
  }
  return FALSE;
}

/* What one of them has that may not stand in the metadata, freed by the caller; NULL: nothing. */
static char *
dup_graphics_stranger (const VpDomain *domain)
{
  char *stranger = NULL;

  for (xmlNode *node = next_device (domain, NULL, "graphics", NULL); node != NULL && stranger == NULL;
       node = next_device (domain, node, "graphics", NULL))
    stranger = vp_content_dup_stranger (node, GRAPHICS);
  return stranger;
}

static gboolean
keeps_graphics (VpRuleContext *context, View view)
{
  guint count = count_devices (context->original, "graphics", NULL);

  if (count == 0)
    return FALSE;
  if (count > MAX_OF_A_KIND) {
    vp_rule_warn (context, "devices.trim leaves %u <graphics> in the domain: more than %u are no guest's", count,
                  MAX_OF_A_KIND);
    return TRUE;
  }
  if (view != VIEW_NONE || has_spice_port (context->original))
    return TRUE;
  if (!has_secret (context)) {
    g_autofree char *stranger = dup_graphics_stranger (context->original);
    if (stranger != NULL)
      vp_rule_warn (context,
                    "devices.trim leaves <graphics> in the domain, as one of them has what may not be remembered "
                    "in the metadata: %s; take the element out yourself",
                    stranger);
    return stranger != NULL;
  }
  vp_rule_warn (context, "devices.trim leaves <graphics> in the domain, as one of them has a password: it could only "
                         "be remembered in the metadata, where everybody may read it; take the password or the "
                         "element out yourself");
  return TRUE;
}

static void
want_no_video (VpRuleContext *context, gboolean graphics)
{
  const char *reason = "the guest shows its picture on its own card";
  xmlNode *first = next_device (context->original, NULL, "video", NULL);
  xmlNode *model = first != NULL ? vp_xml_child (first, "model") : NULL;

  gboolean is_none = model != NULL && vp_xml_attr_is (model, "type", "none");
  want_gone (context, "video", NULL, graphics || is_none ? 2 : 1, reason);
  if (!graphics || is_none)
    return;
  xmlNode *none = vp_xml_new ("video", NULL);
  xmlAddChild (none, vp_xml_new ("model", "type", "none", NULL));
  vp_rule_want (context, &vp_rule_trim, VP_GUEST_VISIBLE, g_strdup ("devices/video[1]"), none, "%s", reason);
}

/* Sound that goes to the host's own speakers, or into a file, is heard. */
static gboolean
is_heard (const VpDomain *domain)
{
  guint all = count_devices (domain, "audio", NULL);

  return all > count_devices (domain, "audio", "none") + count_devices (domain, "audio", "spice") +
                 count_devices (domain, "audio", "dbus");
}

/* libvirt would put an <audio> back, and one that speaks to SPICE needs a <graphics>. */
static void
want_silent_audio (VpRuleContext *context, const char *type)
{
  if (count_devices (context->original, "audio", type) > MAX_OF_A_KIND)
    return;
  for (xmlNode *node = next_device (context->original, NULL, "audio", type); node != NULL;
       node = next_device (context->original, node, "audio", type)) {
    g_autofree char *id = vp_xml_dup_attr (node, "id");
    if (id == NULL || !g_regex_match_simple ("^[0-9]{1,9}\\z", id, 0, 0))
      continue;
    vp_rule_want (context, &vp_rule_trim, VP_GUEST_VISIBLE, g_strdup_printf ("devices/audio[@id='%s']", id),
                  vp_xml_new ("audio", "id", id, "type", "none", NULL), "it was heard through the emulated display");
  }
}

static void
want_no_spice (VpRuleContext *context)
{
  static const struct {
    const char *name;
    const char *type;
    const char *reason;
  } devices[] = {
    { "channel", "spicevmc", "SPICE's agent has no display to serve" },
    { "channel", "spiceport", "SPICE's shared folder goes with its display" },
    { "channel", "qemu-vdagent", "the clipboard goes with the emulated display" },
    { "redirdev", "spicevmc", "SPICE's USB redirection goes with its display" },
    { "smartcard", "spicevmc", "SPICE's card reader goes with its display" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (devices); i++)
    want_gone (context, devices[i].name, devices[i].type, 1, devices[i].reason);
  if (!is_heard (context->original))
    want_gone (context, "sound", NULL, 1, "the emulated sound has no listener");
}

/* Each type for itself: what a user adds does not stand for another one, which the rest may need when it comes back. */
static void
want_no_graphics (VpRuleContext *context)
{
  static const char *const types[] = { "spice", "vnc", "egl-headless", "dbus", "sdl", "rdp", "desktop" };

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    want_gone (context, "graphics", types[i], 1, "nothing draws on it any more");
  want_silent_audio (context, "spice");
  want_silent_audio (context, "dbus");
}

/* 1: a display is assigned, 0: none is, -1: nobody knows */
static int
has_display (const VpRuleContext *context)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);
  int answer = count_devices (context->original, "hostdev", "mdev") > 0 ? -1 : 0;

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpPciDevice *device = vp_host_find_device (context->host, &g_array_index (hostdevs, VpHostdev, i).address);
    if (device == NULL)
      answer = -1;
    else if (vp_pci_is_display (device))
      return 1;
  }
  return answer;
}

static gboolean
takes_display (const VpRuleContext *context)
{
  for (guint i = 0; i < context->wants->len; i++) {
    const VpWant *want = context->wants->pdata[i];
    if (g_str_has_prefix (want->place, "devices/video[") || g_str_has_prefix (want->place, "devices/graphics["))
      return TRUE;
  }
  return FALSE;
}

static gboolean
plan_trim (VpRuleContext *context, GError **error)
{
  (void) error;
  if (context->host_only || vp_settings_choice (context->settings, VP_KEY_DEVICES_TRIM) != VP_TRIM_YES)
    return TRUE;
  View view = find_view (context->original);
  gboolean graphics = keeps_graphics (context, view);
  want_no_video (context, graphics);
  if (view != VIEW_MDEV)
    want_gone (context, "input", "tablet", 1, "the pointer of an emulated display");
  if (view == VIEW_NONE)
    want_no_spice (context);
  if (!graphics)
    want_no_graphics (context);
  if (takes_display (context) && has_display (context) == 0)
    vp_rule_warn (context,
                  "devices.trim takes the emulated display away, and no graphics card is assigned: nothing is "
                  "left to see the guest with%s",
                  count_devices (context->original, "serial", NULL) > 0 ? " but its serial console" : "");
  return TRUE;
}

#define NUMBER "\\[[1-9][0-9]?\\]"

static const VpRulePlace places[] = {
  { .place = "devices/video" NUMBER, VP_GUEST_VISIBLE, VIDEO, "video(?:/model(?:/@type=none)?)?", .takes_out = TRUE },
  { .place = "devices/sound" NUMBER,
    VP_GUEST_VISIBLE,
    DEVICE ("sound", "/codec" ANY "|/audio" ANY "|/driver" ANY),
    NULL },
  { .place = "devices/graphics\\[@type='(?:spice|vnc|egl-headless|dbus|sdl|rdp|desktop)'\\]" NUMBER,
    VP_GUEST_VISIBLE,
    GRAPHICS,
    NULL },
  { .place = "devices/input\\[@type='tablet'\\]" NUMBER, VP_GUEST_VISIBLE, DEVICE ("input", "/driver" ANY), NULL },
  { .place = "devices/channel\\[@type='(?:spicevmc|spiceport|qemu-vdagent)'\\]" NUMBER,
    VP_GUEST_VISIBLE,
    CHANNEL,
    NULL },
  { .place = "devices/redirdev\\[@type='spicevmc'\\]" NUMBER,
    VP_GUEST_VISIBLE,
    DEVICE ("redirdev", "/protocol" ANY "|/boot" ANY),
    NULL },
  { .place = "devices/smartcard\\[@type='spicevmc'\\]" NUMBER,
    VP_GUEST_VISIBLE,
    "smartcard(?:/@mode=passthrough|/@type=spicevmc|/protocol" ANY "|" OF_ALL ")?",
    NULL },
  { .place = "devices/audio\\[@id='[1-9][0-9]{0,8}'\\]",
    VP_GUEST_VISIBLE,
    AUDIO,
    "audio(?:/@id=[0-9]{1,9}|/@type=none)?" },
  { .place = NULL },
};

const VpRule vp_rule_trim = { "trim", places, plan_trim, NULL, NULL };
