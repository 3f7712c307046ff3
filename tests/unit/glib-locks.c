/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib's locks, told to ThreadSanitizer: GLib is not built with it, so it sees neither that
 * a mutex orders two threads nor that a source is handed from one to the other. Loaded before
 * the program (LD_PRELOAD) by the tests of a build with -Db_sanitize=thread.
 */
#include <dlfcn.h>
#include <glib.h>
#include <sys/auxv.h>

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
#define NEXT(name) (__extension__ (__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

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

typedef struct {
  GSourceFunc function;
  gpointer data;
  GDestroyNotify notify;
} Callback;

static gboolean
call_back (gpointer data)
{
  Callback *callback = data;

  acquire (callback);
  return callback->function (callback->data);
}

static void
callback_free (gpointer data)
{
  Callback *callback = data;

  acquire (callback);
  if (callback->notify != NULL)
    callback->notify (callback->data);
  g_free (callback);
}

static gboolean
is_of_program (const void *address)
{
  Dl_info program;
  Dl_info other;

  return dladdr ((const void *) getauxval (AT_PHDR), &program) != 0 && dladdr (address, &other) != 0 &&
         program.dli_fbase == other.dli_fbase;
}

/* Of ours alone, which are all idle sources and timers: callbacks of GIO's sources have more arguments. */
void
g_source_set_callback (GSource *source, GSourceFunc function, gpointer data, GDestroyNotify notify)
{
  if (!is_of_program (__builtin_return_address (0))) {
    NEXT (g_source_set_callback) (source, function, data, notify);
    return;
  }
  Callback *callback = g_new (Callback, 1);
  *callback = (Callback){ function, data, notify };
  release (callback);
  NEXT (g_source_set_callback) (source, call_back, callback, callback_free);
}
