/* gfree.c - goroutines that are free: lists, reuse, giving their memory back
 *
 * A free G of a stack class keeps its stack and identity ("warm"). Each P holds up to GFREE_MAX of
 * each class, so that create and exit take no lock; half of a full list moves to the class's
 * global one. Gs without a stack of a class (the program's own memory) are on nostack.
 *
 * After a burst the pages of warm Gs go back to the system: the template thread, which may take
 * libc's locks, looks at the global lists every GIVE_BACK_NS. What has lain there unused since
 * its last look, the list's lowest length, nobody needed: half of it becomes "cold", without
 * identity and pages, to be made anew by whoever needs it. So a burst that comes again every few
 * seconds finds most of its Gs warm, and a minute after the last one little is left. While no list
 * holds anything the template thread sleeps for good (surplus_note).
 * It goes by the clock also under chaos with one P, where the seed decides: whether a G is warm or
 * cold changes neither which thread runs next nor how many decisions there are.
 */
#include "sched/runtime.h"

#include <string.h>

#define GIVE_BACK_NS (4 * NSEC_PER_SEC)
/* Fewer than these, 128 KB, are not worth a look. */
#define GIVE_BACK_FEW 16
/* Given back between two acquisitions of the lock. */
#define GIVE_BACK_BATCH 32

struct gfree_class {
    struct gfree warm, cold;
    uint32_t lowest; /* of warm.n since the template thread's last look */
};

static struct lock gfree_lock;
static struct gfree_class global_free[SLOT_CLASSES];
static struct gfree nostack;

static void gfree_push(struct gfree *l, struct g *g) {
    g->schedlink = l->head;
    l->head = g;
    l->n++;
}

static struct g *gfree_pop(struct gfree *l) {
    struct g *g = l->head;
    if (g) {
        l->head = g->schedlink;
        l->n--;
    }
    return g;
}

static struct g *global_pop_locked(struct gfree_class *c) {
    struct g *g = gfree_pop(&c->warm);
    if (c->warm.n < c->lowest)
        c->lowest = c->warm.n;
    return g ? g : gfree_pop(&c->cold);
}

static struct g *gfree_get(struct p *p, int class) {
    struct gfree *local = p ? &p->gfree[class] : NULL;
    struct gfree_class *c = &global_free[class];
    struct g *g = local ? gfree_pop(local) : NULL;
    if (g || (!c->warm.head && !c->cold.head))
        return g;
    lock_acquire(&gfree_lock);
    g = global_pop_locked(c);
    struct g *more;
    while (local && local->n < GFREE_MAX / 2 && (more = global_pop_locked(c)))
        gfree_push(local, more);
    lock_release(&gfree_lock);
    return g;
}

/* Onto the P's list of its class, or half of that and it onto the global one. */
static void gfree_put(struct g *g) {
    struct p *p = p_self();
    int class = g->slot_class;
    if (p && p->gfree[class].n < GFREE_MAX) {
        gfree_push(&p->gfree[class], g);
        return;
    }
    lock_acquire(&gfree_lock);
    gfree_push(&global_free[class].warm, g);
    while (p && p->gfree[class].n > GFREE_MAX / 2)
        gfree_push(&global_free[class].warm, gfree_pop(&p->gfree[class]));
    lock_release(&gfree_lock);
    surplus_note();
}

/* A G on a stack of its own, or the program's memory. */
static struct g *alloc_own(const struct stack_want *want) {
    lock_acquire(&gfree_lock);
    struct g *g = gfree_pop(&nostack);
    lock_release(&gfree_lock);
    if (!g)
        g = g_new();
    if (g && !slot_own(g, want)) {
        lock_acquire(&gfree_lock);
        gfree_push(&nostack, g);
        lock_release(&gfree_lock);
        return NULL;
    }
    return g;
}

/* Fresh Gs with fresh slots: one is returned, the others go to the free list. */
static struct g *alloc_batch(const struct stack_want *want, int class) {
    uintptr_t at;
    uint32_t n = slot_batch(class, want, &at);
    struct g *first = NULL;
    for (uint32_t i = 0; i < n; i++, at += slot_stride(class)) {
        struct g *g = g_new();
        if (!g)
            break; /* the slot is lost, as the memory is */
        slot_give(g, class, at);
        if (first)
            gfree_put(g);
        else
            first = g;
    }
    return first;
}

struct g *g_alloc(const struct stack_want *want) {
    int class = want->user ? -1 : slot_class_of(want);
    section_enter_any();
    struct g *g = class < 0 ? alloc_own(want) : gfree_get(p_self(), class);
    if (!g && class >= 0)
        g = alloc_batch(want, class);
    section_leave_any();
    if (g)
        g->id = atomic_fetch_add_explicit(&sched.next_gid, 1, memory_order_relaxed);
    return g;
}

void g_free(struct g *g) {
    g->gen++;
    status_set(g, G_FREE);
    if (g->slot_class != G_NO_CLASS) {
        section_enter_any();
        gfree_put(g);
        section_leave_any();
        return;
    }
    slot_drop(g);
    g->tp = 0;
    lock_acquire(&gfree_lock);
    gfree_push(&nostack, g);
    lock_release(&gfree_lock);
}

/* ---- giving back: the template thread ---- */

/* Up to max warm Gs of the class, as a list. */
static struct g *warm_take(struct gfree_class *c, uint32_t max) {
    struct gfree taken = {0};
    lock_acquire(&gfree_lock);
    for (struct g *g; taken.n < max && (g = gfree_pop(&c->warm));)
        gfree_push(&taken, g);
    if (c->warm.n < c->lowest)
        c->lowest = c->warm.n;
    lock_release(&gfree_lock);
    return taken.head;
}

static void cool_down(struct gfree_class *c, uint32_t n) {
    while (n) {
        uint32_t batch = n < GIVE_BACK_BATCH ? n : GIVE_BACK_BATCH;
        struct g *list = warm_take(c, batch), *next;
        for (struct g *g = list; g; g = g->schedlink) {
            if (g->tp) {
                sched.host->identity_drop(g->tp);
                g_word_set(g->tp, NULL); /* a stale thread id finds nobody, even if pages stay */
                g->tp = 0;
            }
            slot_cool(g);
        }
        lock_acquire(&gfree_lock);
        for (; list; list = next) {
            next = list->schedlink;
            gfree_push(&c->cold, list);
        }
        lock_release(&gfree_lock);
        n -= batch;
    }
}

static uint32_t warm_total(void) {
    uint32_t n = 0;
    for (int i = 0; i < SLOT_CLASSES; i++)
        n += global_free[i].warm.n;
    return n;
}

uint64_t gfree_give_back(uint64_t now) {
    static uint64_t next_look;
    if (now >= next_look) {
        for (int i = 0; i < SLOT_CLASSES; i++) {
            struct gfree_class *c = &global_free[i];
            lock_acquire(&gfree_lock);
            uint32_t unused = c->lowest;
            c->lowest = c->warm.n;
            lock_release(&gfree_lock);
            cool_down(c, unused < GIVE_BACK_FEW ? unused : (unused + 1) / 2);
        }
        next_look = now + GIVE_BACK_NS;
    }
    return warm_total() ? next_look : TIME_FOREVER;
}

void gfree_reset_child(void) {
    gfree_lock = (struct lock){0};
    memset(global_free, 0, sizeof global_free);
    memset(&nostack, 0, sizeof nostack);
}
