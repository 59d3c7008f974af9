/* amqp_session.h -- one connection to a broker, from the login until it is lost or no longer
 * wanted: publishes what the loop has posted, and posts what comes. Blocks: for the thread of
 * amqp_thread.h, which begins the next one. */
#ifndef OSR_ADAPTER_AMQP_SESSION_H
#define OSR_ADAPTER_AMQP_SESSION_H

#include "adapter/amqp_post.h"
#include "adapter/broker_login.h"

struct osr_amqp_session_options {
    const struct osr_url *url;
    const struct osr_broker_login *login;
    enum osr_bus_role role;
    struct osr_amqp_post *post;
    /* The number of the last message delivered to the loop: they are numbered on over all sessions,
     * so that a number tells its session. */
    uint64_t *deliveries;
};

/* 0: it was asked to stop, and has. Anything else: it never came up, or went down. */
int osr_amqp_session_run(const struct osr_amqp_session_options *options, bool *ret_was_up,
                         struct osr_err *err);

#endif
