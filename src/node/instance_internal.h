/* instance_internal.h -- what the parts of an instance share: itself, put together and run
 * (instance.c), by which it is reached (instance_doors.c), and who may come in (instance_trust.c).
 * For these alone. */
#ifndef OSR_NODE_INSTANCE_INTERNAL_H
#define OSR_NODE_INSTANCE_INTERNAL_H

#include "adapter/bus.h"
#include "node/agreed.h"
#include "node/engine.h"
#include "node/instance.h"
#include "node/ledger.h"
#include "node/log_limit.h"
#include "node/operations.h"

/* What is asked of who comes by a listener. */
struct osr_instance_door {
    struct osr_instance *instance;
    bool seeds_allowed;
    unsigned methods;
};

struct osr_instance {
    uv_loop_t *loop;
    struct osr_config *config;
    const struct osr_trace *trace;
    struct osr_log_limit *log_limit;
    const struct osr_trace *link_trace; /* for what connections cause */

    struct osr_engine *engine;
    struct osr_credentials *credentials;
    struct osr_trust_feed *trust;
    struct osr_audit *audit;
    struct osr_security *security;
    struct osr_renewal *renewal;
    struct osr_access *access;
    struct osr_agreed_state *agreed;
    struct osr_sessions *sessions;
    struct osr_peers *peers;
    struct osr_neighbours *neighbours;
    struct osr_machine machines[OSR_MACHINES_MAX];
    struct osr_ledger *ledger;
    struct osr_services services;
    struct osr_operations *operations;
    struct osr_listener *listeners[1 + OSR_CONFIG_LISTENERS_MAX];
    struct osr_instance_door doors[1 + OSR_CONFIG_LISTENERS_MAX]; /* of these */
    size_t listener_count;
    struct osr_bus_keys *client_keys; /* NULL: no listener wants them */

    uv_prepare_t before_wait; /* a turn ends behind the timers ... */
    uv_check_t after_wait;    /* ... and behind what the world had to say */
    bool has_turns;           /* the two are open */
    bool is_stopped;
    struct osr_err failure; /* what ends the process */
};

/* instance.c */
/* To the link of that number, if it is still there. */
void osr_instance_send(void *context, uint32_t peer, const Osr__Frame *frame);

/* instance_doors.c */
/* Listens and dials as the config says; all that those who come need is there. */
int osr_instance_open_doors(struct osr_instance *instance, struct osr_err *err);

/* instance_trust.c. A context is the instance. */
/* All that access stands on; the engine is open. */
int osr_instance_open_trust(struct osr_instance *instance, struct osr_err *err);
/* Once trust is open. */
void osr_instance_create_access(struct osr_instance *instance);
/* Once there are sessions, whose links it asks over. */
void osr_instance_start_renewal(struct osr_instance *instance);
/* Links, connections and watchers look again at what they may do. */
void osr_instance_review(void *context);

#endif
