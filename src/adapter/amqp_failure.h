/* amqp_failure.h -- what librabbitmq and the broker complain of, in our words, with what to do. */
#ifndef OSR_ADAPTER_AMQP_FAILURE_H
#define OSR_ADAPTER_AMQP_FAILURE_H

#include <amqp.h>

#include "base/error.h"
#include "base/url.h"

/* Each returns the error's code, never 0. Messages begin with the URL's place (osr_url_place). */

/* A status below 0 of a function of the library; `doing`: "cannot reach the broker". */
int osr_amqp_status_failure(const struct osr_url *url, const char *doing, int status,
                            struct osr_err *err);
/* A reply that is not AMQP_RESPONSE_NORMAL. */
int osr_amqp_reply_failure(const struct osr_url *url, const char *doing,
                           const amqp_rpc_reply_t *reply, struct osr_err *err);
/* connection.close and channel.close: the broker ends it. */
int osr_amqp_close_failure(const struct osr_url *url, const char *doing,
                           const amqp_method_t *method, struct osr_err *err);

#endif
