/* renewal.h -- a member's certificate, renewed ahead of its end by the CA's instance, over the link
 * with it: nothing is restarted, and no link is dropped.
 *
 * Happy path: about once an hour, and soon after a link is up: RENEW without a request asks the
 * CA's instance which CAs are to be believed and which one issues -> it is time (two thirds of the
 * present certificate's are over), or another CA issues by now, or somebody wants it now: a request
 * for the present TLS key is made on a thread -> RENEW with it and with the present certificate ->
 * the answer is checked (renewal_answer.h), noted in the audit log, and goes into the trust folder
 * and into force as by a reload.
 *
 * Who the CA's instance is, stands in the CA's certificate. Where it does not, and it is time, each
 * linked instance is asked in turn; others than the CA's say so. The present certificate's common
 * name, DNS names and addresses are kept: the CA's instance takes them from the certificate itself,
 * once it has seen that it is one of the asker's, and good; so nobody can ask for more than he has.
 * A link by a pinned id or a shared key shows no certificate: RENEW is refused on it.
 *
 * Not all at once: each time is taken at random within its span.
 *
 * Failures (no link with the CA's instance, refused, no answer, an answer that is not good): tried
 * again after a pause that doubles up to an hour, and when a link comes up. Where it is time, the
 * log says so once a day, with what to do.
 *
 * Threads: the loop's. */
#ifndef OSR_NODE_RENEWAL_H
#define OSR_NODE_RENEWAL_H

#include "base/random.h"
#include "model/limits.h"
#include "node/audit.h"
#include "node/security.h"
#include "wire/codec.h"

enum {
    OSR_RENEWAL_LOOK_MS = 60 * 60 * 1000, /* on average */
    OSR_RENEWAL_SOON_MS = 5 * 1000,       /* after a link is up, at the latest */
    /* By then every member that is linked has heard of another CA: the longest time between two
     * looks, and the round itself. */
    OSR_RENEWAL_HEARD_MS = OSR_RENEWAL_LOOK_MS / 3 * 4 + 5 * 60 * 1000,
    /* Between two rounds, for a peer that comes and goes; and the first pause after a failure. */
    OSR_RENEWAL_PAUSE_MS_MIN = 60 * 1000,
    OSR_RENEWAL_PAUSE_MS_MAX = 60 * 60 * 1000,
    OSR_RENEWAL_ANSWER_MS = 20 * 1000, /* stops one that does not answer from being waited for */
    OSR_RENEWAL_SAID_MS = 24 * 60 * 60 * 1000, /* how often it is said that it fails */
};

struct osr_renewal;

struct osr_renewal_link {
    uint32_t number;
    const char *instance; /* that its other side has proved to be */
};

struct osr_renewal_options {
    uv_loop_t *loop;
    struct osr_security *security;
    const char *cluster;
    const char *instance;               /* its id */
    uint64_t (*time_ms)(void *context); /* since 1970 */
    uint64_t seed;                      /* of the jitter */
    /* Up to OSR_LINKS_MAX; their texts live until the return to the loop. */
    size_t (*links)(void *context, struct osr_renewal_link *links);
    void (*send)(void *context, uint32_t link, const Osr__Frame *frame);
    struct osr_audit *audit; /* NULL: nothing is noted (tests) */
    const struct osr_trace *trace;
    void *context;
};

struct osr_renewal *osr_renewal_create(const struct osr_renewal_options *options);
/* When osr_security_close has finished what was under way. Who waits is told CANCELLED. Run the
 * loop once more. NULL is a no-op. */
void osr_renewal_close(struct osr_renewal *renewal);

/* A link's other side has shown who it is; a link is gone. */
void osr_renewal_link_up(struct osr_renewal *renewal);
void osr_renewal_link_down(struct osr_renewal *renewal, uint32_t link);
/* RENEW_REPLY, or an ERROR with a request's id. False: it is none of the answers awaited. */
bool osr_renewal_take_answer(struct osr_renewal *renewal, uint32_t link, const Osr__Frame *frame);

/* err->code 0: there is a new certificate, in force. */
typedef void osr_renewal_done(void *context, const struct osr_err *err);
/* Renews whatever the time. CONFIG: there is nothing to renew (says why, and what to do); BUSY:
 * somebody waits already. */
int osr_renewal_now(struct osr_renewal *renewal, osr_renewal_done *done, void *context,
                    struct osr_err *err);

/* For tests. */
struct osr_renewal_info {
    uint64_t next_ms;       /* when it is looked again */
    struct osr_err problem; /* why it is not renewed though it is time; code 0: all is well */
};
void osr_renewal_get_info(const struct osr_renewal *renewal, struct osr_renewal_info *ret_info);
/* Does what there is to do by the time: called by a timer, and by tests that cannot wait. */
void osr_renewal_look(struct osr_renewal *renewal);

#endif
