/* c11.c - <threads.h>: glibc's versions do not go through pthread_*, so they are ours too */
#include "shim/c11.h"
#include "shim/shim.h"

#include <stdlib.h>
#include <threads.h>

static int to_thrd(int err) {
    switch (err) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

SHIM_API int shim_thrd_create(thrd_t *out, thrd_start_t start, void *arg) {
    if (!runtime_start())
        return next(thrd_create)(out, start, arg);
    int err =
        thread_create((pthread_t *)out, NULL, (void *(*)(void *))(void (*)(void))start, arg, true);
    return err == EAGAIN ? thrd_nomem : to_thrd(err); /* as glibc: no resources is nomem */
}

SHIM_API int shim_thrd_join(thrd_t th, int *res) {
    void *r;
    int err = shim_thread_join((pthread_t)th, &r);
    if (!err && res)
        *res = (int)(intptr_t)r;
    return to_thrd(err);
}

SHIM_API int shim_thrd_detach(thrd_t th) { return to_thrd(shim_thread_detach((pthread_t)th)); }

SHIM_API void shim_thrd_exit(int res) { pthread_exit((void *)(intptr_t)res); }

SHIM_API void shim_thrd_yield(void) { shim_yield(); }

SHIM_API int shim_mtx_lock(mtx_t *m) { return to_thrd(shim_mutex_lock((pthread_mutex_t *)m)); }
SHIM_API int shim_mtx_unlock(mtx_t *m) { return to_thrd(shim_mutex_unlock((pthread_mutex_t *)m)); }
SHIM_API int shim_mtx_trylock(mtx_t *m) {
    return to_thrd(shim_mutex_trylock((pthread_mutex_t *)m));
}
SHIM_API int shim_mtx_timedlock(mtx_t *m, const struct timespec *abs) {
    return to_thrd(shim_mutex_timedlock((pthread_mutex_t *)m, abs));
}

SHIM_API int shim_cnd_wait(cnd_t *c, mtx_t *m) {
    return to_thrd(shim_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}
SHIM_API int shim_cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *abs) {
    return to_thrd(shim_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, abs));
}
SHIM_API int shim_cnd_signal(cnd_t *c) { return to_thrd(shim_cond_signal((pthread_cond_t *)c)); }
SHIM_API int shim_cnd_broadcast(cnd_t *c) {
    return to_thrd(shim_cond_broadcast((pthread_cond_t *)c));
}

SHIM_API void shim_call_once(once_flag *flag, void (*init)(void)) {
    shim_once((pthread_once_t *)flag, init);
}
