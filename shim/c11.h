/* c11.h - the POSIX implementations that <threads.h> shares */
#ifndef GTHREAD_C11_H
#define GTHREAD_C11_H

#include <pthread.h>
#include <stdbool.h>

int thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg,
                  bool returns_int);
int shim_thread_join(pthread_t th, void **result);
int shim_thread_detach(pthread_t th);
int shim_yield(void);
int shim_mutex_lock(pthread_mutex_t *m);
int shim_mutex_unlock(pthread_mutex_t *m);
int shim_mutex_trylock(pthread_mutex_t *m);
int shim_mutex_timedlock(pthread_mutex_t *m, const struct timespec *abs);
int shim_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int shim_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *abs);
int shim_cond_signal(pthread_cond_t *c);
int shim_cond_broadcast(pthread_cond_t *c);
int shim_once(pthread_once_t *once, void (*init)(void));

#endif
