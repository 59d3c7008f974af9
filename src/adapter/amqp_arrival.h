/* amqp_arrival.h -- puts together what a broker sends: a message comes as a method, a header and
 * pieces of its body, each a frame; between messages come words about the connection. No I/O.
 *
 * What it says is not believed: a body that does not fit its header, pieces out of turn and
 * properties that are no text end the connection or the message, never more. */
#ifndef OSR_ADAPTER_AMQP_ARRIVAL_H
#define OSR_ADAPTER_AMQP_ARRIVAL_H

#include <amqp.h>

#include "adapter/amqp_mail.h"

enum osr_amqp_arrival_kind {
    OSR_AMQP_ARRIVED_NOTHING, /* complete; most frames */
    OSR_AMQP_ARRIVED_MESSAGE, /* `mail` is the caller's; its number is the delivery tag */
    OSR_AMQP_ARRIVED_REFUSED, /* a message that is not taken, `tag`: `text` says why */
    OSR_AMQP_ARRIVED_RETURN,  /* nobody takes from the queue in `text` */
    OSR_AMQP_ARRIVED_CONFIRM, /* of `tag`, and of all before it where is_multiple */
    OSR_AMQP_ARRIVED_BLOCKED, /* publish nothing; `text` says why */
    OSR_AMQP_ARRIVED_UNBLOCKED,
    OSR_AMQP_ARRIVED_NACK,   /* the broker has not taken over what was published */
    OSR_AMQP_ARRIVED_CANCEL, /* the queue is gone */
    OSR_AMQP_ARRIVED_CLOSE,  /* of channel or connection: the frame's method */
    OSR_AMQP_ARRIVED_GARBAGE,
};

struct osr_amqp_arrival {
    enum osr_amqp_arrival_kind kind;
    struct osr_amqp_mail *mail;
    uint64_t tag;
    bool is_multiple;
    const char *text; /* lives until the next call */
};

/* A zeroed one is ready. */
struct osr_amqp_assembly {
    enum osr_amqp_content { OSR_AMQP_NO_CONTENT, OSR_AMQP_DELIVERY, OSR_AMQP_RETURNED } content;
    bool has_header;
    uint64_t tag;
    uint64_t body_left;                       /* of the content that comes in */
    struct osr_amqp_mail *mail;               /* NULL: the body is thrown away */
    char text[OSR_BUS_ADDRESS_BYTES_MAX + 1]; /* of the content that comes in */
    char reason[OSR_BUS_ADDRESS_BYTES_MAX + 1];
};

/* In the role of a listener, a message that does not name a queue of the broker's own naming to
 * answer to is refused: nobody makes us write where they may not write themselves. */
struct osr_amqp_arrival osr_amqp_assembly_take(struct osr_amqp_assembly *assembly,
                                               enum osr_bus_role role, const amqp_frame_t *frame);
void osr_amqp_assembly_done(struct osr_amqp_assembly *assembly);

#endif
