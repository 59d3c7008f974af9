/* operations.h -- every operation of the contract, once: what it is called, what answers it, who
 * may use it, how large its request may be, and what it does.
 *
 * Happy path: a request's row is found, its size and its caller's permission are checked, a
 * call is made (node/call.h), the handler checks the arguments and answers now or later.
 *
 * Failures: an ERROR with the request's id; the connection goes on. */
#ifndef OSR_NODE_OPERATIONS_H
#define OSR_NODE_OPERATIONS_H

#include "node/call.h"
#include "node/config.h"
#include "node/neighbours.h"
#include "node/peers.h"
#include "node/renewal.h"
#include "node/security.h"
#include "node/trust_feed.h"

enum {
    OSR_WAIT_DEFAULT_MS = 10 * 1000, /* for acks, and of status --wait, where none is given */
    OSR_WAIT_MAX_MS = 3600 * 1000,   /* stops callers that have gone from being waited for */
};

/* What operations work on: the parts of an instance. */
struct osr_services {
    uv_loop_t *loop;
    const struct osr_config *config;
    const char *instance; /* its id */
    struct osr_knowledge *knowledge;
    struct osr_journal *journal;
    const struct osr_feed *feed; /* asked, never stepped */
    struct osr_access *access;
    struct osr_credentials *credentials;
    struct osr_trust_feed *trust;
    struct osr_audit *audit;
    struct osr_security *security;
    struct osr_renewal *renewal;
    struct osr_sessions *sessions;
    struct osr_peers *peers;
    struct osr_neighbours *neighbours;
    struct osr_ledger *ledger;
    struct osr_agreement *agreement; /* the ledger's, for who uses its machines */
    struct osr_agreed_state *agreed; /* what this instance obeys of it */
    struct osr_listener *const *listeners;
    size_t listener_count;
    uint64_t start_ms;             /* by uv_now */
    const struct osr_err *storage; /* what is wrong with the projection; code OK: nothing */
    /* Sends the own feed to a connected peer again. */
    void (*resend)(void *context, uint32_t peer, uint64_t from_sequence);
    /* Somebody may be in who is not let in any more. */
    void (*on_revoked)(void *context);
    void *context;
};

struct osr_operations;

/* The services stay the caller's and must outlive it. */
int osr_operations_create(const struct osr_services *services,
                          struct osr_operations **ret_operations, struct osr_err *err);
/* When all sessions are gone, and before what the services point to. Run the loop once more. NULL
 * is a no-op. */
void osr_operations_destroy(struct osr_operations *operations);

/* For a session's on_request: who asks, is `identity`. */
void osr_operations_request(struct osr_operations *operations, struct osr_session *session,
                            struct osr_identity *identity, const Osr__Frame *frame, size_t size);

#endif
