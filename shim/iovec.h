/* iovec.h - what is left of a vector when a call has moved a part of it */
#ifndef GTHREAD_IOVEC_H
#define GTHREAD_IOVEC_H

#include <stddef.h>
#include <sys/uio.h>

/* So many pieces at a time; the rest follows in further calls. */
#define IOV_PART 16

struct iov_rest {
    const struct iovec *v;
    int n;
    size_t skip; /* of v[0] */
    struct iovec part[IOV_PART];
};

/* The kernel has read the vector before, so it is readable. Returns its length in bytes. */
static inline size_t iov_begin(struct iov_rest *r, const struct iovec *v, int n) {
    size_t total = 0;
    r->v = v;
    r->n = n;
    r->skip = 0;
    for (int i = 0; i < n; i++)
        total += v[i].iov_len;
    return total;
}

/* done bytes more have been moved. Fills part; returns how many pieces it has. */
static inline int iov_advance(struct iov_rest *r, size_t done) {
    done += r->skip;
    while (r->n && done >= r->v->iov_len) {
        done -= r->v->iov_len;
        r->v++;
        r->n--;
    }
    r->skip = done;
    int k = 0;
    for (; k < r->n && k < IOV_PART; k++)
        r->part[k] = r->v[k];
    if (k) {
        r->part[0].iov_base = (char *)r->part[0].iov_base + r->skip;
        r->part[0].iov_len -= r->skip;
    }
    return k;
}

#endif
