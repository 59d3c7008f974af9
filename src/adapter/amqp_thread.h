/* amqp_thread.h -- the thread on which all calls of librabbitmq are made: they block on a stalled
 * broker (a publish for 8 s was seen), and the loop may not. One for each bus.
 *
 * It goes from session to session (amqp_session.h), with a pause between two that doubles, until it
 * is stopped. The loop meets it in a post (amqp_post.h) only. */
#ifndef OSR_ADAPTER_AMQP_THREAD_H
#define OSR_ADAPTER_AMQP_THREAD_H

#include "adapter/amqp_post.h"

struct osr_amqp_thread;

/* Fails with CONFIG for what is wrong with the login's files. */
int osr_amqp_thread_start(const struct osr_url *url, enum osr_bus_role role,
                          struct osr_amqp_thread **ret_thread, struct osr_err *err);
struct osr_amqp_post *osr_amqp_thread_post(struct osr_amqp_thread *thread);
/* It was stopped, and has ended. */
bool osr_amqp_thread_has_ended(struct osr_amqp_thread *thread);
/* Joins a thread that has ended. One that has not, because the system looks for a name, or for the
 * way to a host that is silent, is left to itself: it frees what it has when it ends, which nobody
 * need wait for. Only after osr_amqp_post_stop. */
void osr_amqp_thread_release(struct osr_amqp_thread *thread);

#endif
