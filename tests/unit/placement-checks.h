/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of placement share: machines by their descriptions, requests, and what is held of answers. */
#pragma once

#include <string.h>

#include "made-host.h"
#include "placement/placement-fleet.h"

#define I7_3770K "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
#define RYZEN_1600 "pack:1 l3:2(size=8388608) core:3 pu:2(indexes=2*6:6*1)"
#define RYZEN_3900X "pack:1 l3:4(size=16777216) core:3 pu:2(indexes=2*12:12*1)"
#define RYZEN_7950X "pack:1 l3:2 core:8 pu:2(indexes=2*16:16*1)"
#define THREADRIPPER_1950X "pack:1 group:2 [numa] l3:2 core:4 pu:2(indexes=2*16:16*1)"
#define EPYC_NPS4 "pack:2 group:4 [numa] l3:2 core:8 pu:2(indexes=2*128:128*1)"

static inline VpTopology *
describe (const char *description)
{
  g_autoptr (GError) error = NULL;
  VpTopology *topology = vp_topology_load_description (description, &error);

  g_assert_no_error (error);
  return topology;
}

static inline VpPlacementRequest
guest (guint n_vcpus, guint threads)
{
  return (VpPlacementRequest){ .n_vcpus = n_vcpus, .threads = threads, .pin = VP_PIN_YES, .reserve_cores = 1 };
}

static inline VpPlacement *
place (const VpTopology *topology, const VpPlacementRequest *request)
{
  g_autoptr (GError) error = NULL;
  VpPlacement *answer = vp_placement_new (topology, request, &error);

  g_assert_no_error (error);
  return answer;
}

static inline char *
dup_pins (const VpPlacement *answer)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; answer->vcpus != NULL && i < answer->n_vcpus; i++)
    g_string_append_printf (text, "%s%d", i > 0 ? " " : "", answer->vcpus[i]);
  return g_string_free (text, FALSE);
}

static inline void
check_set (hwloc_const_bitmap_t set, const char *expected)
{
  hwloc_bitmap_t wanted = made_set (expected);

  if (expected == NULL) {
    g_assert_null (set);
  } else {
    char *text = NULL;

    g_assert_nonnull (set);
    hwloc_bitmap_list_asprintf (&text, set);
    if (!hwloc_bitmap_isequal (set, wanted))
      g_assert_cmpstr (text, ==, expected);
    free (text);
  }
  hwloc_bitmap_free (wanted);
}

static inline void
check_warning (const VpPlacement *answer, const char *part)
{
  for (guint i = 0; i < answer->warnings->len; i++) {
    if (strstr (g_ptr_array_index (answer->warnings, i), part) != NULL)
      return;
  }
  g_test_message ("no warning has \"%s\"; the first of %u: %s", part, answer->warnings->len,
                  answer->warnings->len > 0 ? (char *) g_ptr_array_index (answer->warnings, 0) : "");
  g_test_fail ();
}

/* Pins and emulator; then once more with these pins, which must change nothing at all. */
static inline VpPlacement *
check_request (const VpTopology *topology, const VpPlacementRequest *request, const char *pins, const char *emulator)
{
  VpPlacement *answer = place (topology, request);
  g_autofree char *got = dup_pins (answer);
  VpPlacementRequest again = *request;

  g_assert_cmpstr (got, ==, pins);
  check_set (answer->emulator, emulator);
  again.current = answer->vcpus;
  if (again.match)
    again.threads = answer->threads;
  g_autoptr (VpPlacement) second = place (topology, &again);
  g_autofree char *got_again = dup_pins (second);
  g_assert_cmpstr (got_again, ==, pins);
  g_assert_cmpstr (second->summary, ==, answer->summary);
  check_set (second->emulator, emulator);
  g_assert_cmpuint (second->warnings->len, ==, answer->warnings->len);
  return answer;
}

static inline void
check_pins (const char *description, const VpPlacementRequest *request, const char *pins, const char *emulator)
{
  g_autoptr (VpTopology) topology = describe (description);
  g_autoptr (VpPlacement) answer = check_request (topology, request, pins, emulator);

  g_assert_cmpuint (answer->warnings->len, ==, 0);
}
