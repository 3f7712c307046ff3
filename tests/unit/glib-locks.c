/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib's locks, told to ThreadSanitizer: GLib is not built with it, so it sees neither that
 * a mutex orders two threads nor that a source is handed from one to the other. Loaded before
 * the program (LD_PRELOAD) by the tests of a build with -Db_sanitize=thread.
 */
#include <dlfcn.h>
#include <glib.h>

/* libtsan's own, for which gcc has no header; not there in the programs that a test starts. */
void __tsan_acquire (void *address) __attribute__ ((weak));
void __tsan_release (void *address) __attribute__ ((weak));

static void
acquire (void *address)
{
  if (__tsan_acquire != NULL)
    __tsan_acquire (address);
}

static void
release (void *address)
{
  if (__tsan_release != NULL)
    __tsan_release (address);
}

/* The function that this one stands before. */
#define NEXT(name) (__extension__(__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

void
g_mutex_lock (GMutex *mutex)
{
  NEXT (g_mutex_lock) (mutex);
  acquire (mutex);
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked = NEXT (g_mutex_trylock) (mutex);

  if (locked)
    acquire (mutex);
  return locked;
}

void
g_mutex_unlock (GMutex *mutex)
{
  release (mutex);
  NEXT (g_mutex_unlock) (mutex);
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  release (mutex);
  NEXT (g_cond_wait) (cond, mutex);
  acquire (mutex);
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  release (mutex);
  gboolean in_time = NEXT (g_cond_wait_until) (cond, mutex, end_time);
  acquire (mutex);
  return in_time;
}

/* A source's callback. Whoever sets it goes before the loop that asks for it, in order to call it. */
typedef struct {
  gint references;
  GSourceFunc function;
  gpointer data;
  GDestroyNotify notify;
} Callback;

static void
callback_ref (gpointer data)
{
  g_atomic_int_inc (&((Callback *) data)->references);
}

static void
callback_unref (gpointer data)
{
  Callback *callback = data;

  release (callback);
  if (!g_atomic_int_dec_and_test (&callback->references))
    return;
  acquire (callback);
  if (callback->notify != NULL)
    callback->notify (callback->data);
  g_free (callback);
}

static void
callback_get (gpointer data, GSource *source, GSourceFunc *function, gpointer *user_data)
{
  const Callback *callback = data;

  (void) source;
  acquire (data);
  *function = callback->function;
  *user_data = callback->data;
}

void
g_source_set_callback (GSource *source, GSourceFunc function, gpointer data, GDestroyNotify notify)
{
  static GSourceCallbackFuncs functions = { callback_ref, callback_unref, callback_get };
  Callback *callback = g_new (Callback, 1);

  *callback = (Callback){ 1, function, data, notify };
  release (callback);
  g_source_set_callback_indirect (source, callback, &functions);
}
