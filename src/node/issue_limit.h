/* issue_limit.h -- how often one identity may ask the CA's instance for a certificate.
 *
 * Each certificate costs a signature, a line of the audit log and a record of the member, which
 * goes to every instance. Who asks again and again is told when to come back. Memory is fixed: two
 * identities may share a place by chance, and wait for each other then. It is not kept over a
 * restart.
 *
 * Sans-IO: now_ms is monotonic. */
#ifndef OSR_NODE_ISSUE_LIMIT_H
#define OSR_NODE_ISSUE_LIMIT_H

#include "base/bytes.h"

enum {
    /* In the long run: one certificate in so long, or ten questions who issues. */
    OSR_ISSUE_CERTIFICATE_MS = 5 * 60 * 1000,
    OSR_ISSUE_QUESTION_MS = OSR_ISSUE_CERTIFICATE_MS / 10,
    /* At once: what this time would have brought; a rotation of the CA asks for a few. */
    OSR_ISSUE_AHEAD_MS = 20 * 60 * 1000,
    OSR_ISSUE_PLACES = 4096,
};

struct osr_issue_limit;

/* `seed` keys the hashes: random in a process, fixed in a test. */
struct osr_issue_limit *osr_issue_limit_create(uint64_t seed);
void osr_issue_limit_destroy(struct osr_issue_limit *limit); /* NULL is a no-op */
/* 0: `who` is let, and it counts; else how long to wait. `cost_ms` is one of the two above. */
uint64_t osr_issue_limit_take(struct osr_issue_limit *limit, const char *who, uint64_t cost_ms,
                              uint64_t now_ms);

#endif
