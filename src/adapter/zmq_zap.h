/* zmq_zap.h -- who may connect to a CURVE socket (ZAP, ZeroMQ RFC 27): those whose keys are known.
 *
 * libzmq asks for each handshake, at inproc://zeromq.zap.01 of its context, and without an answer
 * there lets any key in: so the handler is there before the socket binds, and as long as it. */
#ifndef OSR_ADAPTER_ZMQ_ZAP_H
#define OSR_ADAPTER_ZMQ_ZAP_H

#include "adapter/bus.h"

struct osr_zmq_zap;

/* `library`: libzmq's context. `keys` are copied. */
struct osr_zmq_zap *osr_zmq_zap_create(void *library, const struct osr_bus_keys *keys,
                                       const struct osr_trace *trace);
void osr_zmq_zap_destroy(struct osr_zmq_zap *zap); /* NULL is a no-op */
void *osr_zmq_zap_socket(struct osr_zmq_zap *zap); /* to be watched */
/* Answers all that has been asked. */
void osr_zmq_zap_answer(struct osr_zmq_zap *zap, uint64_t now_ms);

#endif
