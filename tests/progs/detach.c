/* detach.c - pthread_detach before and after the end, twice, by attribute; thousands of them */
#include "check.h"

enum { MANY = 5000 };

static int stop, ended;

static void *until_stopped(void *arg) {
    (void)arg;
    wait_until(&stop, 1);
    add(&ended, 1);
    return NULL;
}

static void *at_once(void *arg) {
    (void)arg;
    add(&ended, 1);
    return NULL;
}

static void *detach_self(void *arg) {
    OK(pthread_detach(pthread_self()));
    ERR(pthread_detach(pthread_self()), EINVAL);
    return at_once(arg);
}

int main(void) {
    check_start();
    pthread_t thread = spawn(until_stopped, NULL);
    OK(pthread_detach(thread));
    ERR(pthread_detach(thread), EINVAL);

    pthread_attr_t attr;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    thread = spawn_with(&attr, until_stopped, NULL);
    ERR(pthread_detach(thread), EINVAL);
    ERR(pthread_join(thread, NULL), EINVAL);
    set(&stop, 1);
    wait_until(&ended, 2);

    /* Not joined yet, so the handle stays good after the end. */
    thread = spawn(at_once, NULL);
    wait_until(&ended, 3);
    pause_ms(20); /* most likely it has wholly ended by now */
    OK(pthread_detach(thread));

    spawn(detach_self, NULL);
    wait_until(&ended, 4);

    /* Thousands: what they leave behind must be reclaimed, or creation fails before the end. */
    for (int i = 0; i < MANY; i++) {
        thread = spawn_with(i % 2 ? &attr : NULL, at_once, NULL);
        if (i % 2 == 0)
            OK(pthread_detach(thread));
        if (i % 64 == 0)
            wait_until(&ended, 4 + i - 64); /* keep the number that live at once bounded */
    }
    wait_until(&ended, 4 + MANY);
    OK(pthread_attr_destroy(&attr));
    return 0;
}
